/** The worklist: log in, send studies, watch the queue, see what is flagged first. Asks this service alone. */
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const sending = new Map(); // uploads of this page that have not arrived yet
  let names = {}; // of studies that this browser sent: shown here and nowhere else
  let timer = 0;
  let visit = 0; // counts log-ins and log-outs: what was asked for before the last of them is not shown
  try {
    names = JSON.parse(sessionStorage.getItem("names") || "{}");
  } catch {
    names = {};
  }

  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const say = (sentence) => (at("said").textContent = sentence);
  const short = (id) => id.slice(0, 8);
  const called = (id) => names[id] || short(id);
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
  const when = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  const sentence = async (answer) => {
    try {
      return (await answer.json()).detail || `The service answered ${answer.status}.`;
    } catch {
      return `The service answered ${answer.status}.`;
    }
  };

  const show = (inside) => {
    visit += 1;
    at("login").hidden = inside;
    at("work").hidden = !inside;
    at("logout").hidden = !inside;
    document.body.dataset.state = inside ? "work" : "login";
    if (!inside) {
      clearTimeout(timer);
      timer = 0;
      at("queue").replaceChildren();
      at("studies").replaceChildren();
      at("token").focus();
    }
  };

  const ask = async (path, options = {}) => {
    const answer = await fetch(path, { credentials: "same-origin", ...options });
    if (answer.status === 401) show(false);
    return answer;
  };

  // What is under way: uploads of this page, jobs that wait or run, and those that failed.
  const row = (key, name, state, done, total) => {
    let item = at(`item-${key}`);
    if (!item) {
      item = made("li", { id: `item-${key}` }, made("span", { className: "name" }), made("progress"), made("span", { className: "state quiet" }), made("span", { className: "actions" }));
      item.querySelector("progress").setAttribute("aria-label", `progress of ${name}`);
    }
    item.querySelector(".name").textContent = name;
    item.querySelector(".state").textContent = state;
    const bar = item.querySelector("progress");
    if (total > 0) {
      bar.max = total;
      bar.value = done;
    } else {
      bar.removeAttribute("value");
    }
    return item;
  };

  const forget = async (id) => {
    if (!confirm("Delete this study with all its results?")) return;
    const answer = await ask(`/studies/${id}`, { method: "DELETE" });
    if (!answer.ok && answer.status !== 404) at("send-wrong").textContent = await sentence(answer);
    await look();
  };

  const again = async (id) => {
    await ask(`/jobs/${id}/retry`, { method: "POST" });
    await look();
  };

  const link = (text, action) => made("button", { type: "button", className: "link", textContent: text, onclick: action });

  const showQueue = (jobs) => {
    const items = [];
    for (const [key, upload] of sending) items.push(row(key, upload.name, upload.state, upload.done, upload.total));
    let ahead = 0;
    for (const job of [...jobs].reverse()) {
      if (job.state === "done") continue;
      const { done, total } = job.progress;
      const state = job.state === "queued" ? (ahead ? `waits, ${ahead} before it` : "waits") : job.state === "running" ? (total > 1 ? `scored: ${done} of ${total} scans` : "is scored") : "failed";
      if (job.state !== "failed") ahead += 1;
      const item = row(job.job, called(job.job), state, job.state === "queued" ? 0 : done, job.state === "queued" ? 1 : total > 1 ? total : 0);
      const bar = item.querySelector("progress");
      bar.hidden = job.state === "failed";
      const actions = item.querySelector(".actions");
      const kind = job.state === "failed" ? "failed" : "under way";
      if (actions.dataset.kind !== kind) {
        actions.dataset.kind = kind;
        actions.replaceChildren(...(kind === "failed" ? [link("Try again", () => again(job.job))] : []), link(kind === "failed" ? "Delete" : "Stop", () => forget(job.job)));
      }
      let why = item.querySelector(".why");
      if (job.error && !why) {
        why = made("span", { className: "why" });
        item.append(why);
      }
      if (why) why.textContent = job.error || "";
      items.push(item);
    }
    at("queue").replaceChildren(...items);
    at("under-way").hidden = items.length === 0;
  };

  const mark = (flag) => (flag === true ? ["flagged", "Flagged"] : flag === false ? ["clear", "Not flagged"] : ["unknown", "No flag raised"]);
  const rank = (job) => (job.flag === true ? 0 : job.flag === null ? 1 : 2);
  let shown = "";

  // left: how many older studies, done and not flagged, the service did not list.
  const showStudies = (jobs, left) => {
    const done = jobs.filter((job) => job.state === "done").sort((one, other) => rank(one) - rank(other) || other.sent_at - one.sent_at);
    const now = JSON.stringify([done, left]);
    if (now === shown && at("studies").children.length === done.length) return;
    shown = now;
    at("studies").replaceChildren(
      ...done.map((job) => {
        const [kind, text] = mark(job.flag);
        const name = called(job.job);
        const offered = [["map", "map.nii.gz"], ["SEG", "seg.dcm"], ["SR", "sr.dcm"], ["JSON", ""]];
        const files = offered.filter(([what]) => what !== "SEG" || job.findings > 0).map(([what, file]) =>
          made("a", { href: file ? `/studies/${job.job}/${file}` : `/studies/${job.job}`, textContent: what, title: `${what} of ${name}` }),
        );
        const study = made("td", { className: "study" }, made("a", { href: `/studies/${job.job}/page`, textContent: name }));
        if (job.note) study.append(made("span", { className: "note", textContent: job.note }));
        const line = made(
          "tr",
          { className: kind },
          made("td", {}, made("span", { className: `mark ${kind}`, textContent: text })),
          study,
          made("td", { textContent: when(job.sent_at) }),
          made("td", { textContent: job.run }),
          made("td", { className: "number", textContent: job.scans }),
          made("td", { className: "number", textContent: job.findings }),
          made("td", { className: "files" }, ...files),
          made("td", {}, link("Delete", () => forget(job.job))),
        );
        line.dataset.study = job.job;
        return line;
      }),
    );
    const flagged = done.filter((job) => job.flag === true).length;
    const unlisted = left ? `; ${left} older ones, not flagged, are not shown` : "";
    at("counts").textContent = done.length ? `${done.length + left}, flagged: ${flagged}${unlisted}` : "";
    at("none").hidden = done.length > 0;
    if (done.length) say(`${done.length + left} studies are done, ${flagged} of them flagged.`);
  };

  const look = async () => {
    clearTimeout(timer);
    const asked = visit;
    let pause = 4000;
    try {
      const answer = await ask("/jobs");
      if (!answer.ok) return;
      const jobs = await answer.json();
      if (asked !== visit) return;
      showQueue(jobs);
      showStudies(jobs, Math.max(0, Number(answer.headers.get("X-Total-Count")) - jobs.length));
      if (sending.size || jobs.some((job) => job.state === "queued" || job.state === "running")) pause = 1000;
      at("send-wrong").dataset.away = "";
    } catch {
      if (asked !== visit) return;
      at("send-wrong").textContent = "The service does not answer; it is asked again.";
      at("send-wrong").dataset.away = "1";
    }
    timer = setTimeout(look, pause);
  };

  const send = (files) => {
    if (!files.length) return;
    at("send-wrong").textContent = "";
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const name = files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
    const key = `upload${Date.now()}${sending.size}`;
    const upload = { name, state: `sends ${size(total)}`, done: 0, total: Math.max(1, total) };
    sending.set(key, upload);
    const form = new FormData();
    if (!at("run-label").hidden) form.append("run", at("run").value);
    for (const file of files) form.append("file", file, paths.get(file) || file.webkitRelativePath || file.name);
    const sent = visit;
    const request = new XMLHttpRequest();
    request.open("POST", "/studies");
    request.upload.onprogress = (event) => {
      Object.assign(upload, { done: event.loaded, total: Math.max(1, event.total), state: event.loaded < event.total ? `sends ${size(event.total)}` : "is taken in" });
      if (at(`item-${key}`)) row(key, name, upload.state, upload.done, upload.total);
    };
    request.onloadend = () => {
      sending.delete(key);
      if (sent !== visit) return;
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = {};
      }
      if (request.status === 202) {
        names[answer.job] = name;
        sessionStorage.setItem("names", JSON.stringify(names));
      } else if (request.status === 401) {
        show(false);
        return;
      } else {
        at("send-wrong").textContent = `${name}: ${answer.detail || "it did not arrive; send it again."}`;
      }
      look();
    };
    request.send(form);
    look();
  };

  // A folder that is dropped is read with all that is in it; its files are sent by their paths, as several may have one name.
  const paths = new WeakMap();
  const inside = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((took, failed) => entry.file(took, failed));
      paths.set(file, entry.fullPath);
      return [file];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((took, failed) => reader.readEntries(took, failed));
      if (!some.length) return found;
      for (const one of some) found.push(...(await inside(one)));
    }
  };

  const drop = at("drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const plain = [...event.dataTransfer.files];
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) return send(plain);
    try {
      return send((await Promise.all(entries.map(inside))).flat());
    } catch {
      at("send-wrong").textContent = "The folder could not be read; choose it with the button.";
      return undefined;
    }
  });
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
  for (const id of ["files", "folder"]) {
    at(id).addEventListener("change", () => {
      send([...at(id).files]);
      at(id).value = "";
    });
  }

  const enter = async () => {
    const answer = await ask("/runs");
    if (!answer.ok) return;
    const runs = await answer.json();
    at("run").replaceChildren(...runs.map((run) => made("option", { textContent: run, value: run })));
    at("run-label").hidden = runs.length < 2;
    show(true);
    await look();
  };

  at("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: at("token").value }),
    });
    at("token").value = "";
    at("login-wrong").textContent = answer.ok ? "" : await sentence(answer);
    if (answer.ok) await enter();
  });

  at("logout").addEventListener("click", async () => {
    await fetch("/logout", { method: "POST" });
    names = {};
    sessionStorage.removeItem("names");
    show(false);
  });

  fetch("/health")
    .then((answer) => answer.json())
    .then((health) => (at("version").textContent = health.version));
  enter();
})();
