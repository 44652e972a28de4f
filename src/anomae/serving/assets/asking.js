"use strict";
/** Asking the service, and saying what came of it; who is logged in.  For worklist.js and sending.js. */
const at = (id) => document.getElementById(id);
const AWAY = "The service does not answer";

const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const sentence = async (answer) => {
  try {
    return (await answer.json()).detail || `The service answered ${answer.status}.`;
  } catch {
    return `The service answered ${answer.status}.`;
  }
};

const session = {
  visit: 0, // counts log-ins and log-outs: what was asked for before the last of them is not shown
  left: [], // what else is to be done where the list is left

  show(inside) {
    session.visit += 1;
    at("login").hidden = inside;
    at("work").hidden = !inside;
    at("logout").hidden = !inside;
    document.body.dataset.state = inside ? "work" : "login";
    if (inside) return;
    for (const each of session.left) each();
    for (const id of ["away", "send-wrong"]) at(id).textContent = "";
    at("token").focus();
  },

  /** The service knows this browser no more.  undone: a sentence about what was asked for. */
  ended(undone = "") {
    const wasIn = document.body.dataset.state === "work"; // who only just opened the page never had one
    session.show(false);
    if (wasIn) at("login-wrong").textContent = `The session has ended: log in again. ${undone}`.trim();
  },
};

/** An answer; of a session that is over it is null, and that is said.  Fails where nothing answers. */
const ask = async (path, options = {}, undone = "") => {
  const asked = session.visit;
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status !== 401) return answer;
  if (asked === session.visit) session.ended(undone);
  return null;
};

/** What went wrong with something that the person asked for, where they see it. */
const complain = (what) => {
  at("send-wrong").textContent = what;
  at("send-wrong").scrollIntoView({ block: "nearest" });
};

/** Ask for a change; returns whether it was made (or `fine` was answered), and says so where it was not. */
const change = async (path, method, undone, fine = 0) => {
  at("send-wrong").textContent = "";
  let answer;
  try {
    answer = await ask(path, { method }, undone);
  } catch {
    complain(`${AWAY}. ${undone}`);
    return false;
  }
  if (answer === null) return false;
  if (answer.ok || answer.status === fine) return true;
  complain(`${undone} ${await sentence(answer)}`);
  return false;
};
