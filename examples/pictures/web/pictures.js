// Calls the two functions with what is on the canvas. No build step, no library.

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
$('server').value = query.get('server') ?? 'http://127.0.0.1:8080';
$('id').value = query.get('id') ?? '1';

const canvas = $('canvas');
const paper = canvas.getContext('2d');
let newest = 0;

function clear() {
  paper.fillStyle = '#000';
  paper.fillRect(0, 0, canvas.width, canvas.height);
}

function where() {
  $('where-now').textContent = `${$('id').value} on ${$('server').value}`;
}

/** Calls a function with the picture; what it answers, and how long it took. */
async function call(name, picture, path = '') {
  const began = performance.now();
  const response = await fetch(`${$('server').value}/api/run/${$('id').value}/${name}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream' },
    body: picture,
  });
  const body = await response.arrayBuffer();
  const took = performance.now() - began;
  const text = () => new TextDecoder().decode(body);
  if (!response.ok) throw new Error(text());
  if (new TextDecoder('latin1').decode(body.slice(0, 6)) === 'error ') throw new Error(text());
  return { body, text, took };
}

function show(labels) {
  $('labels').replaceChildren(...labels.map(({ label, score }) => {
    const item = document.createElement('li');
    const name = document.createElement('span');
    name.textContent = label;
    const bar = document.createElement('span');
    bar.className = 'bar';
    const filled = document.createElement('span');
    filled.style.width = `${(100 * score).toFixed(1)}%`;
    bar.append(filled);
    const share = document.createElement('span');
    share.className = 'share';
    share.textContent = `${(100 * score).toFixed(0)} %`;
    item.append(name, bar, share);
    return item;
  }));
}

async function look() {
  const mine = ++newest;
  const picture = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  $('problem').hidden = true;
  try {
    const seen = await call('classify', picture);
    if (mine !== newest) return;
    show(JSON.parse(seen.text()));
    $('time').textContent = `classify: ${seen.took.toFixed(0)} ms`;
    const small = await call('thumbnail', picture, '/bytes');
    if (mine !== newest) return;
    URL.revokeObjectURL($('small').src);
    $('small').src = URL.createObjectURL(new Blob([small.body], { type: 'image/png' }));
    $('small').hidden = false;
    $('time').textContent += `, thumbnail: ${small.took.toFixed(0)} ms`;
  } catch (error) {
    if (mine !== newest) return;
    $('problem').textContent = error instanceof TypeError
      ? `No answer from ${$('server').value}. Is the server running?`
      : error.message;
    $('problem').hidden = false;
  }
}

let last = null;
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
};
canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = at(event);
});
canvas.addEventListener('pointermove', (event) => {
  if (!last) return;
  const next = at(event);
  paper.strokeStyle = '#fff';
  paper.lineWidth = 30;
  paper.lineCap = paper.lineJoin = 'round';
  paper.beginPath();
  paper.moveTo(...last);
  paper.lineTo(...next);
  paper.stroke();
  last = next;
});
for (const end of ['pointerup', 'pointercancel']) {
  canvas.addEventListener(end, () => {
    if (last) look();
    last = null;
  });
}

$('file').addEventListener('change', async () => {
  const [file] = $('file').files;
  if (!file) return;
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    $('problem').textContent = `${file.name} is no picture that this browser reads`;
    $('problem').hidden = false;
    return;
  }
  clear();
  const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  paper.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  look();
});
$('clear').addEventListener('click', () => {
  newest++;
  clear();
  const hint = document.createElement('li');
  hint.className = 'hint';
  hint.textContent = 'Nothing drawn yet.';
  $('labels').replaceChildren(hint);
  $('time').textContent = '';
  $('small').hidden = true;
});
for (const name of ['server', 'id']) $(name).addEventListener('input', where);

clear();
where();
