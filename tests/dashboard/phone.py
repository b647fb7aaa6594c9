"""What is wrong with a page on a phone, found in the page itself."""

from __future__ import annotations

from dashboard.browser import Browser

#: One line for each thing that is wrong. All that is folded is opened before: it is seen on a phone, too.
_WRONG = """
document.querySelectorAll('main details:not([data-hold])').forEach((one) => { one.open = true; });
const wide = document.documentElement.clientWidth, said = [];
const seen = (e) => { const box = e.getBoundingClientRect(); return box.width > 1 && box.height > 1; };
const name = (e) => `${e.tagName.toLowerCase()}.${e.className} ${(e.innerText ?? '').trim().slice(0, 40)}`;
if (document.documentElement.scrollWidth > wide) said.push(`the page scrolls sideways: ${document.documentElement.scrollWidth}`);
// Only matrices, drawings and queries scroll in a box of their own.
for (const e of document.querySelectorAll('body *')) {
    if (seen(e) && e.getBoundingClientRect().right > wide + 0.5 && !e.closest('.scroll:has(table.matrix) > *, .drawing > *, pre, table.cards > thead'))
        said.push(`wider than the screen: ${name(e)}`);
}
for (const box of document.querySelectorAll('.scroll:not(:has(table.matrix))')) {
    if (box.scrollWidth > box.clientWidth + 1) said.push(`cut off: ${box.getAttribute('aria-label')} ${box.scrollWidth} of ${box.clientWidth}`);
}
const role = (e, wanted) => { if (e.getAttribute('role') !== wanted) said.push(`no ${wanted}: ${name(e)}`); };
for (const table of document.querySelectorAll('table.cards')) {
    const heads = [...table.tHead.rows[0].cells];
    role(table, 'table');
    heads.forEach((head) => role(head, 'columnheader'));
    for (const row of table.tBodies[0].rows) {
        role(row, 'row');
        [...row.cells].forEach((cell, k) => {
            role(cell, 'cell');
            const label = getComputedStyle(cell, '::before').content;
            if (k && seen(cell) && label !== `"${heads[k].textContent}" / ""`) said.push(`no label: ${name(cell)} has ${label}`);
            if (!heads[k].textContent) said.push(`a column without a name: ${table.closest('.scroll').getAttribute('aria-label')}`);
        });
    }
}
// Links within a text may be as high as its lines.
for (const e of document.querySelectorAll('button, input:not([type=hidden]), select, summary, .below a, .more a, .buttons a, nav a')) {
    if (seen(e) && !e.closest('.unseen') && !e.matches('.term, .skip') && e.getBoundingClientRect().height < 24)
        said.push(`too small to tap: ${name(e)} ${e.getBoundingClientRect().height}`);
}
return said.slice(0, 12);
"""


def wrong_on_a_phone(browser: Browser) -> list[str]:
    """What is wider than the screen or cut off, which cells of cards have no label, what is too small to be tapped."""
    found: list[str] = browser.js(_WRONG)
    return found
