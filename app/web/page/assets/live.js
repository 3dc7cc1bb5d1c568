// Keeps the page of a build up to date: the server sends the changed part, drawn,
// and what differs is put in its place. What has the focus keeps it. Folds are as
// whoever reads the page has turned them; the others open when something begins in
// them, and never close: what is below would jump.
import { read } from "./stream.js";

const live = document.getElementById("live");
const turned = new WeakSet();
live.addEventListener("click", (event) => {
  const fold = event.target.closest?.("summary")?.parentElement;
  if (fold) turned.add(fold);
});
if (live.dataset.live) follow(live.dataset.live);

function follow(address) {
  read(() => address, {
    build(drawn) {
      const fresh = new DOMParser().parseFromString(drawn, "text/html").body;
      merge(live, fresh);
      const title = live.querySelector("#outcome .state")?.textContent.trim().split(/\s+/).pop();
      if (title) document.title = document.title.replace(/^[a-z]+:/, title + ":");
    },
    end() {
      delete live.dataset.live;
      return true;
    },
  });
}

// merge makes the children of old those of fresh, and leaves alone what is the same.
function merge(old, fresh) {
  const a = [...old.childNodes], b = [...fresh.childNodes];
  for (let i = 0; i < b.length; i++) {
    const is = a[i], shall = b[i];
    if (!is) old.append(shall);
    else if (is.nodeType !== shall.nodeType || is.nodeName !== shall.nodeName || (is.id ?? "") !== (shall.id ?? "")) is.replaceWith(shall);
    else if (is.nodeType === Node.TEXT_NODE) { if (is.data !== shall.data) is.data = shall.data; }
    else { attributes(is, shall); merge(is, shall); }
  }
  for (const gone of a.slice(b.length)) gone.remove();
}

function attributes(is, shall) {
  for (const { name, value } of [...shall.attributes]) if (is.getAttribute(name) !== value && !(name === "open" && turned.has(is))) is.setAttribute(name, value);
  for (const { name } of [...is.attributes]) if (!shall.hasAttribute(name) && name !== "open") is.removeAttribute(name);
}
