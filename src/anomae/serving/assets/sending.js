"use strict";
/** Sending studies: dropped files and folders, or chosen ones; how far each upload is. */
const uploads = (() => {
  const under = new Map(); // uploads of this page that have not arrived yet
  const paths = new WeakMap();
  const UNSENT = "The study was not sent; send it anew.";
  let names = {}; // of studies that this browser sent: shown here and nowhere else
  try {
    names = JSON.parse(sessionStorage.getItem("names") || "{}");
  } catch {
    names = {};
  }
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);

  const send = (files) => {
    if (!files.length) return;
    at("send-wrong").textContent = "";
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const name = files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
    const key = `upload${Date.now()}${under.size}`;
    const upload = { name, state: `sends ${size(total)}`, done: 0, total: Math.max(1, total) };
    under.set(key, upload);
    const form = new FormData();
    if (!at("run-label").hidden) form.append("run", at("run").value);
    for (const file of files) form.append("file", file, paths.get(file) || file.webkitRelativePath || file.name);
    const sent = session.visit;
    const request = new XMLHttpRequest();
    request.open("POST", "/studies");
    request.upload.onprogress = (event) => {
      Object.assign(upload, { done: event.loaded, total: Math.max(1, event.total), state: event.loaded < event.total ? `sends ${size(event.total)}` : "is taken in" });
      worklist.progressed(key, upload);
    };
    request.onloadend = () => {
      under.delete(key);
      if (sent !== session.visit) return;
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
        session.ended(UNSENT);
        return;
      } else {
        complain(`${name}: ${answer.detail || "it did not arrive; send it again."}`);
      }
      worklist.look(request.status === 202 ? "" : UNSENT); // a large upload to a session that is over breaks off unanswered
    };
    request.send(form);
    worklist.look(UNSENT);
  };
  // A folder that is dropped is read with all that is in it; its files are sent by their paths, as several may have one name.
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
      complain("The folder could not be read; choose it with the button.");
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

  return {
    all: () => [...under],
    any: () => under.size > 0,
    nameOf: (id) => names[id],
    forget: () => {
      names = {};
      sessionStorage.removeItem("names");
    },
  };
})();
