#include "host/report/html_assets.hpp"

namespace melgrad {

const char* const html_style = R"(
:root { --blue: #0072b2; --ink: #141414; --dim: #5f5f5f; --line: #dcdcdc }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 5rem; max-width: 62rem; color: var(--ink); background: #fff;
  font: 1.02rem/1.5 'Liberation Serif', 'Times New Roman', Times, serif }
h1, h2, h3, th, td, button, select, .sans, figcaption, nav, .byline { font-family: 'Liberation Sans', Arial, Helvetica, sans-serif }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .3rem; text-wrap: balance }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-top: .5rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.6rem 0 .5rem }
p { margin: .5rem 0; max-width: 46rem }
.byline { color: var(--dim); font-size: .85rem; margin-bottom: 1.4rem }
.abstract { border-left: 3px solid var(--blue); padding-left: 1rem }
nav { font-size: .85rem; margin: 1rem 0 } nav a { margin-right: 1rem }
a { color: var(--blue) }
code, pre, tt { font-family: 'Liberation Mono', 'Courier New', monospace; font-size: .86em }
pre { background: #f5f5f5; padding: .6rem .8rem; overflow-x: auto }
figure { margin: 1.4rem 0 } figcaption { color: var(--dim); font-size: .82rem; margin-top: .5rem; max-width: 46rem }
figcaption b { color: var(--ink) }
svg { width: 100%; height: auto; display: block }
figure.narrow svg { max-width: 34rem } figure.wide { overflow-x: auto } figure.wide svg { min-width: 34rem }
svg text { pointer-events: none }
svg rect[data-key] { cursor: pointer } svg rect[data-key]:hover { stroke: #141414; stroke-width: 1.2 }
svg .sans { font-family: 'Liberation Sans', Arial, Helvetica, sans-serif }
svg .serif { font-family: 'Liberation Serif', 'Times New Roman', Times, serif }
svg .mono { font-family: 'Liberation Mono', 'Courier New', monospace }
.scroll { overflow-x: auto } .clips { max-height: 36rem; overflow: auto }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; min-width: 60% }
thead th { border-bottom: 1px solid var(--ink); border-top: 2px solid var(--ink) }
tbody tr:last-child td { border-bottom: 2px solid var(--ink) }
th, td { padding: .22rem .7rem; text-align: right; font-weight: normal; vertical-align: top } th { font-weight: bold }
th:first-child, td:first-child, .left { text-align: left; padding-left: .1rem }
tr.best td { font-weight: bold }
tbody tr:hover { background: #f3f7fa }
td.path { overflow-wrap: anywhere; text-align: left }
#clips th { position: sticky; top: 0; background: #fff }
.controls { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .6rem 0; font-size: .85rem }
button, select { font-size: .85rem; padding: .2rem .6rem; border: 1px solid #b5b5b5; border-radius: 4px; background: #fff; cursor: pointer }
button:hover { border-color: var(--blue); color: var(--blue) }
button.play { padding: 0 .45rem }
button[aria-pressed=true] { background: var(--blue); border-color: var(--blue); color: #fff }
#tip { position: fixed; z-index: 9; padding: .25rem .5rem; background: #141414; color: #fff; border-radius: 3px; pointer-events: none;
  font: .8rem 'Liberation Sans', Arial, Helvetica, sans-serif; max-width: 24rem }
audio { height: 2rem; max-width: 100% }
@media print { nav, .controls, button { display: none } body { max-width: none } }
)";

const char* const html_script = R"(
'use strict';
// Hover texts appear at once, beside the pointer.
const tip = document.getElementById('tip');
for (const title of document.querySelectorAll('svg title')) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
document.addEventListener('pointermove', event => {
  const shape = event.target.closest ? event.target.closest('[data-tip]') : null;
  tip.hidden = !shape;
  if (!shape) return;
  tip.textContent = shape.dataset.tip;
  const right = event.clientX + 14 + tip.offsetWidth < innerWidth;
  tip.style.left = (right ? event.clientX + 14 : event.clientX - 14 - tip.offsetWidth) + 'px';
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 4) + 'px';
});

// The list of clips: by protocol, and by the cell of a confusion matrix that was clicked.
const rows = [...document.querySelectorAll('#clips tbody tr')];
const protocol = document.getElementById('protocol');
const pair = document.getElementById('pair');
const shown = document.getElementById('shown');
let cell = '';
function show() {
  if (!protocol) return;
  let n = 0;
  for (const row of rows) {
    const visible = row.dataset.protocol === protocol.value && (cell === '' || row.dataset.cell === cell);
    row.hidden = !visible;
    if (visible) ++n;
  }
  shown.textContent = n;
  pair.hidden = cell === '';
}
if (protocol) {
  protocol.addEventListener('change', () => { cell = ''; show(); });
  pair.addEventListener('click', () => { cell = ''; show(); });
  for (const each of document.querySelectorAll('rect[data-key]'))
    each.addEventListener('click', () => {
      const [model, of, truth, predicted] = each.dataset.key.split('/');
      if (model !== protocol.dataset.model || ![...protocol.options].some(option => option.value === of)) return;
      protocol.value = of;
      cell = truth + '/' + predicted;
      show();
      document.getElementById('mistakes').scrollIntoView({behavior: 'smooth'});
    });
  show();
}

// One player for all clips.
const player = document.getElementById('player');
let playing = null;
function stop() {
  if (playing) playing.setAttribute('aria-pressed', 'false');
  playing = null;
}
document.addEventListener('click', event => {
  const button = event.target.closest ? event.target.closest('button.play') : null;
  if (!button || !player) return;
  const again = button === playing;
  stop();
  player.pause();
  if (again) return;
  playing = button;
  button.setAttribute('aria-pressed', 'true');
  player.hidden = false;
  player.src = button.dataset.src;
  player.play().catch(() => { stop(); button.disabled = true; button.title = 'cannot be played here'; });
});
if (player) player.addEventListener('ended', stop);
)";

}  // namespace melgrad
