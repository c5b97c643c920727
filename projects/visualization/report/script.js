// Each image stands once in the file; whoever shows it takes it from there.
for (const image of document.querySelectorAll('img[data-image]')) image.src = IMAGES[image.dataset.image];
for (const button of document.querySelectorAll('button[data-dialog]')) {
  const dialog = document.getElementById(button.dataset.dialog);
  button.addEventListener('click', () => dialog.showModal());
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
}
const large = document.getElementById('large');
large.addEventListener('click', () => large.close());
for (const button of document.querySelectorAll('button.enlarge')) {
  button.addEventListener('click', () => {
    const [from, to] = [button.querySelector('img'), large.querySelector('img')];
    to.src = from.src;
    to.alt = from.alt;
    large.showModal();
  });
}
for (const button of document.querySelectorAll('button.copy')) {
  button.addEventListener('click', async () => {
    const text = button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'copied';
    } catch {  // pages that are opened as files may not: mark the line instead
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = 'marked';
    }
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  });
}
