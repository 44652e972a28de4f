"use strict";
/** The worklist: log in, watch the queue, see what is flagged first.  Asks this service alone. */
const worklist = (() => {
  let timer = 0;
  const say = (what) => (at("said").textContent = what);
  const called = (id) => uploads.nameOf(id) || id.slice(0, 8);
  const when = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  session.left.push(() => {
    clearTimeout(timer);
    at("queue").replaceChildren();
    at("studies").replaceChildren();
  });

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
    if (await change(`/studies/${id}`, "DELETE", "The study was not deleted.", 404)) await look();
  };

  const again = async (id) => {
    if (await change(`/jobs/${id}/retry`, "POST", "The study is not tried again.")) await look();
  };

  const link = (text, action) => made("button", { type: "button", className: "link", textContent: text, onclick: action });

  const showQueue = (jobs) => {
    const items = [];
    for (const [key, upload] of uploads.all()) items.push(row(key, upload.name, upload.state, upload.done, upload.total));
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
    // What stays is left where it is: a button that is taken out and put back loses the focus.
    const before = [...at("queue").children];
    if (items.length !== before.length || items.some((item, index) => item !== before[index])) {
      const focused = document.activeElement;
      at("queue").replaceChildren(...items);
      if (at("queue").contains(focused)) focused.focus();
    }
    at("under-way").hidden = items.length === 0;
  };

  const OFFERED = [["map", "map.nii.gz"], ["map", "map.tiff"], ["SEG", "seg.dcm"], ["SR", "sr.dcm"], ["JSON", ""]];
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
        const files = OFFERED.filter(([, file]) => !file || job.results.includes(file)).map(([what, file]) =>
          // Kept as a file: whatever is answered, it does not replace this page.
          made("a", { href: `/studies/${job.job}${file && `/${file}`}`, download: file ? "" : `${job.job}.json`, textContent: what, title: `${what} of ${name}` }),
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

  const look = async (undone = "") => {
    clearTimeout(timer);
    const asked = session.visit;
    let pause = 4000;
    let away = "";
    try {
      const answer = await ask("/jobs", {}, undone);
      if (answer === null) return;
      const jobs = answer.ok ? await answer.json() : null;
      if (asked !== session.visit) return;
      if (jobs) {
        showQueue(jobs);
        showStudies(jobs, Math.max(0, Number(answer.headers.get("X-Total-Count")) - jobs.length));
        if (uploads.any() || jobs.some((job) => job.state === "queued" || job.state === "running")) pause = 1000;
      } else {
        away = `The service, or what stands before it, answered ${answer.status}; it is asked again.`;
      }
    } catch {
      if (asked !== session.visit) return;
      away = `${AWAY}; it is asked again.`;
    }
    if (at("away").textContent !== away) at("away").textContent = away; // said once
    clearTimeout(timer); // another look may have begun meanwhile
    timer = setTimeout(look, pause);
  };

  const enter = async () => {
    let answer;
    try {
      answer = await ask("/runs");
      if (answer === null) {
        session.show(false);
        return;
      }
      if (!answer.ok) throw new Error(await sentence(answer));
      const runs = await answer.json();
      at("run").replaceChildren(...runs.map((run) => made("option", { textContent: run, value: run })));
      at("run-label").hidden = runs.length < 2;
    } catch (reason) {
      session.show(false);
      at("login-wrong").textContent = `${answer ? reason.message : `${AWAY}.`} Load this page again.`;
      return;
    }
    session.show(true);
    await look();
  };

  at("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = at("token").value;
    at("token").value = "";
    try {
      const answer = await fetch("/login", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ token }),
      });
      at("login-wrong").textContent = answer.ok ? "" : await sentence(answer);
      if (answer.ok) await enter();
    } catch {
      at("login-wrong").textContent = `${AWAY}; try again.`;
    }
  });

  at("logout").addEventListener("click", async () => {
    if (!(await change("/logout", "POST", "You are not logged out; try again."))) return;
    uploads.forget();
    session.show(false);
  });

  fetch("/health")
    .then((answer) => answer.json())
    .then((health) => (at("version").textContent = health.version))
    .catch(() => {}); // a word in the header, no more
  enter();

  return {
    look,
    progressed: (key, upload) => at(`item-${key}`) && row(key, upload.name, upload.state, upload.done, upload.total),
  };
})();
