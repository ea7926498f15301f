// Plays a call from where the reader points, shows where the sound is, and opens what a link leads to.
for (const scenario of document.querySelectorAll(".scenario")) {
  const [audio, strip] = [scenario.querySelector("audio"), scenario.querySelector(".strip")];
  if (!audio || !strip) continue;
  const [picture, playhead] = [strip.querySelector(".waveform"), strip.querySelector(".playhead")];
  const seconds = Number(picture.dataset.seconds);
  const show = () => {
    const place = audio.currentTime / seconds;
    playhead.setAttribute("x1", `${place * 100}%`);
    playhead.setAttribute("x2", `${place * 100}%`);
    strip.classList.toggle("playing", audio.currentTime > 0);
    if (!audio.paused) {
      const at = place * picture.clientWidth;
      if (at < strip.scrollLeft || at > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = at - 20;
      requestAnimationFrame(show);
    }
  };
  const listen = (at) => {
    for (const other of document.querySelectorAll("audio")) other.pause();
    audio.currentTime = Math.max(0, Math.min(at, seconds));
    audio.play();
  };
  for (const event of ["play", "seeked", "timeupdate", "ended"]) audio.addEventListener(event, show);
  picture.addEventListener("click", ({ clientX }) => {
    const { left, width } = picture.getBoundingClientRect();
    listen(((clientX - left) / width) * seconds);
  });
  for (const button of scenario.querySelectorAll("[data-at]")) button.addEventListener("click", () => listen(Number(button.dataset.at) - 0.5));
}
const open = () => {
  const found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(found instanceof HTMLDetailsElement)) return;
  found.open = true;
  found.scrollIntoView();
};
addEventListener("hashchange", open);
open();
