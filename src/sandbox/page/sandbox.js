// Keeps a page as the server has it, and sends its forms without leaving it. What the page says comes from the server alone.
//
// <body data-events="/events">     where the server tells what has changed
// <div data-live="alerts">         what the event of that name replaces, piece by piece
// <… data-connection>              is told whether the server is heard
// <select data-shared name="by">   goes with every form of the same <section>
// <form method="post" data-fresh>  is emptied once the server has taken it
// <output data-say>                is told what the server has refused
"use strict";

const connection = document.querySelector("[data-connection]");
const say = document.querySelector("[data-say]");

function heard(state, words) {
  if (!connection) return;
  connection.dataset.connection = state;
  connection.textContent = words;
}

function listen(address) {
  const source = new EventSource(address);
  source.onopen = () => heard("live", "Live");
  source.onerror = () => {
    heard("lost", "Not connected: trying again");
    // After some answers a browser gives up for good.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000, address);
  };
  for (const region of document.querySelectorAll("[data-live]")) {
    source.addEventListener(region.dataset.live, (event) => {
      const wanted = document.createElement("template");
      wanted.innerHTML = event.data;
      localise(wanted.content);
      become(region, wanted.content, true);
    });
  }
}

// Moments come in UTC, and are shown as the visitor's clock has them.
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
    time.title = time.dateTime;
  }
}

// Makes the children of `is` those of `wanted`, and leaves alone whatever is so already: the focus, what is being typed, what
// was opened. Elements are known by their ids, or by their places.
function become(is, wanted, told) {
  const stays = new Set([...wanted.children].map((child) => child.id).filter(Boolean));
  for (const child of [...is.children]) if (child.id && !stays.has(child.id)) child.remove();
  const mine = new Map([...is.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = is.firstChild;
  for (const next of [...wanted.childNodes]) {
    const known = next.id ? mine.get(next.id) : at && !at.id && at.nodeName === next.nodeName ? at : null;
    if (!known) {
      if (told && next.id) next.classList.add("new");
      is.insertBefore(next, at);
    } else {
      if (known === at) at = at.nextSibling;
      else is.insertBefore(known, at);
      match(known, next, told);
    }
  }
  while (at) {
    const rest = at;
    at = at.nextSibling;
    rest.remove();
  }
}

// What the visitor has opened, what is under way, and what has just come is not the server's to say.
const OWN = ["open", "data-busy", "class"];

function match(is, wanted, told) {
  if (is.nodeType !== Node.ELEMENT_NODE) {
    if (is.nodeValue !== wanted.nodeValue) is.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name, value } of wanted.attributes) {
    if (!OWN.includes(name) && is.getAttribute(name) !== value) is.setAttribute(name, value);
  }
  for (const { name } of [...is.attributes]) {
    if (!OWN.includes(name) && !wanted.hasAttribute(name)) is.removeAttribute(name);
  }
  const classes = (wanted.getAttribute("class") ?? "") + (is.classList.contains("new") ? " new" : "");
  if ((is.getAttribute("class") ?? "") !== classes) is.setAttribute("class", classes);
  become(is, wanted, told);
}

async function send(form, submitter) {
  if ("busy" in form.dataset) return;
  form.dataset.busy = "";
  const body = new URLSearchParams(new FormData(form, submitter));
  for (const shared of form.closest("section")?.querySelectorAll("[data-shared]") ?? []) body.set(shared.name, shared.value);
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { "X-Crosspage": "page" } });
    say.textContent = answer.ok ? "" : await answer.text();
    if (answer.ok && "fresh" in form.dataset) form.reset();
  } catch {
    say.textContent = "The server does not answer.";
  } finally {
    delete form.dataset.busy;
  }
}

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  event.preventDefault();
  send(event.target, event.submitter);
});

localise(document);
if (document.body.dataset.events) listen(document.body.dataset.events);
