// Reads a stream of events for as long as it takes. A browser asks again by itself
// when a connection breaks, but gives up for ever when it is answered anything but a
// stream: by a proxy whose server is being started anew, or by a server that has not
// found the repository again yet. Then this asks again, behind the last event, less
// and less often, and gives up only when nobody answers for minutes: whoever was
// signed in may not be any more.
const first = 1000, slowest = 20000, tries = 15; // milliseconds; about four minutes

// read opens the address that at names for the id of the last event, "" at first.
// The listeners are by the kind of event, and return true when it was the last. told
// hears "open", "again" or "closed".
export function read(at, listeners, told = () => {}) {
  let last = "", failed = 0;
  const open = () => {
    const source = new EventSource(at(last));
    for (const [kind, listener] of Object.entries(listeners)) source.addEventListener(kind, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      if (listener(JSON.parse(event.data))) source.close();
    });
    source.onopen = () => { failed = 0; told("open"); };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) { told("again"); return; }
      if (failed === tries) { told("closed"); return; }
      told("again");
      setTimeout(open, Math.min(first * 2 ** failed++, slowest));
    };
  };
  open();
}
