/** The head of a page.  Light or dark: as the system has it, until the button is pressed. */
(() => {
  const button = document.getElementById("theme");
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const say = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Use light colours" : "Use dark colours");
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    say();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();
  // A page that the service handed out leads back to its worklist; one on a disk has none.
  const worklist = document.getElementById("worklist");
  if (worklist) worklist.hidden = !/^https?:.*\/studies\/[0-9a-f]{16}\//.test(location.href);
})();
