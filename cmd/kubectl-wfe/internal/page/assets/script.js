// Keeps the page up to date: the server sends the main element after each change, and this script changes only the nodes
// that differ, so that focus, selection and scroll position stay.
"use strict";

const link = document.getElementById("link");

function say(state, text) {
  link.className = "link " + state;
  link.textContent = text;
}

function connect() {
  const source = new EventSource(document.body.dataset.live);
  source.addEventListener("open", () => say("on", "live"));
  source.addEventListener("error", () => {
    const now = new Date().toISOString().slice(11, 19);
    if (!link.classList.contains("off")) {
      say("off", "not connected since " + now + " UTC; is kubectl wfe dashboard still running?");
    }
  });
  source.addEventListener("main", (event) => {
    const fresh = new DOMParser().parseFromString(event.data, "text/html").querySelector("main");
    if (fresh) {
      const place = document.activeElement?.closest("main [id]")?.id;
      morph(document.getElementById("main"), fresh);
      document.title = fresh.dataset.title;
      // A row that moved to another group is a new element: restore its focus.
      if (place && document.activeElement === document.body) {
        document.getElementById(place)?.querySelector("a, button")?.focus({ preventScroll: true });
      }
    }
  });
}

// morph updates an element to match another one.
function morph(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    // The user opens and closes details.
    if (!fresh.hasAttribute(name) && name !== "open") {
      old.removeAttribute(name);
    }
  }
  const known = new Map();
  for (const child of old.children) {
    if (child.id) {
      known.set(child.id, child);
    }
  }
  let at = old.firstChild;
  for (const want of fresh.childNodes) {
    const same = want.id ? known.get(want.id) : null;
    if (same && same !== at) {
      old.insertBefore(same, at);
      at = same;
    }
    if (!at || !alike(at, want)) {
      const made = document.importNode(want, true);
      if (at && !at.id) {
        at.replaceWith(made);
      } else {
        old.insertBefore(made, at);
        at = made;
      }
      at = made.nextSibling;
      continue;
    }
    if (at.nodeType === Node.ELEMENT_NODE) {
      morph(at, want);
    } else if (at.data !== want.data) {
      at.data = want.data;
    }
    at = at.nextSibling;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// alike reports whether a node can be updated to match another one.
function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) {
    return;
  }
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.addEventListener("keydown", (event) => {
  const find = document.getElementById("q");
  if (event.key === "/" && find && !event.ctrlKey && !event.metaKey && !event.altKey && document.activeElement !== find) {
    event.preventDefault();
    find.select();
  }
});

connect();
