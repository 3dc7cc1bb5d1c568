// Marks the lines that an address names (#L10-L20), makes such addresses by
// clicking on numbers with Shift, and follows a log that is still being written.
// What comes is text, and is put in as text.
import { read } from "./stream.js";

const log = document.getElementById("log");

function named() {
  const m = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
  return m && [Math.min(+m[1], +(m[2] ?? m[1])), Math.max(+m[1], +(m[2] ?? m[1]))];
}

function show(scroll) {
  for (const line of log.querySelectorAll(".l.on")) line.classList.remove("on");
  const range = named();
  if (!range) return;
  for (const line of log.querySelectorAll(".l")) {
    const n = +line.id.slice(1);
    if (n >= range[0] && n <= range[1]) line.classList.add("on");
  }
  if (!scroll) return;
  const first = document.getElementById("L" + range[0]);
  if (first) {
    first.closest("details").open = true;
    first.scrollIntoView({ block: "center" });
  } else {
    const there = new URL(location.href); // in another window of the log
    if (there.searchParams.get("line") === String(range[0])) return;
    there.searchParams.set("line", range[0]);
    location.replace(there);
  }
}

if (log) {
  addEventListener("hashchange", () => show(true));
  show(true);
  log.addEventListener("click", (event) => {
    const number = event.target.closest?.("a.n");
    const range = named();
    if (!number || !event.shiftKey || !range) return;
    event.preventDefault();
    const to = +number.textContent, from = to < range[0] ? range[1] : range[0];
    history.replaceState(null, "", `#L${Math.min(from, to)}-L${Math.max(from, to)}`);
    show(false);
  });
  if (log.dataset.live) follow(log.dataset.live);
}

// most is how many lines are kept in the page while they come: a browser that has
// all of a long log stops answering. The others can be asked for.
const most = 5000;

function follow(address) {
  const more = document.getElementById("more"), end = document.getElementById("follow");
  end.closest("label").hidden = false;
  more.textContent = "Following";
  const from = (last) => {
    const next = new URL(address, location.href);
    if (last) next.searchParams.set("from", last);
    return next;
  };
  read(from, {
    lines(piece) {
      const into = fold(piece);
      const rows = document.createDocumentFragment();
      for (const line of piece.lines) rows.append(row(line));
      into.append(rows);
      trim();
      if (end.checked) more.scrollIntoView({ block: "end" });
    },
    end(said) {
      const state = document.querySelector("#state .state");
      state.className = "state " + said.state;
      state.textContent = said.mark + " " + said.state;
      more.textContent = ["succeeded", "failed"].includes(said.state) ? "The log is complete." : "This attempt is over: open the page again for the next one.";
      return true;
    },
  }, (how) => {
    more.textContent = { open: "Following", again: "Connecting again", closed: "The server sends no more: open the page again." }[how];
  });
}

// fold is where lines of a step go.
function fold(piece) {
  const last = log.querySelector("details:last-of-type");
  if (last?.dataset.step === String(piece.step)) return last;
  const next = document.createElement("details");
  next.open = true;
  next.dataset.step = piece.step;
  const summary = document.createElement("summary");
  summary.textContent = piece.name;
  next.append(summary);
  log.append(next);
  return next;
}

function row(line) {
  const row = document.createElement("div");
  row.className = "l";
  row.id = "L" + line.n;
  const number = document.createElement("a");
  number.className = "n";
  number.href = "#L" + line.n;
  number.textContent = line.n;
  const text = document.createElement("span");
  text.className = "c";
  for (const [looks, words] of line.t ?? []) {
    if (!looks) { text.append(words); continue; }
    const span = document.createElement("span");
    span.className = looks;
    span.textContent = words;
    text.append(span);
  }
  row.append(number, text);
  return row;
}

function trim() {
  const rows = log.getElementsByClassName("l");
  for (let n = rows.length - most; n > 0; n--) rows[0].remove();
}
