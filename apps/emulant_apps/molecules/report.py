"""One self-contained page of candidates: the funnel, and a sortable table with structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulant.store import atomic_path, write_json
from emulant_apps.molecules.assess import Funnel
from emulant_apps.molecules.chemistry.drawing import grid_png, grid_svg, structure_svg
from emulant_apps.molecules.tables import Candidate, funnel_text, row_of, write_table

__all__ = ["page", "write_products"]

SHOWN = 100
"""Molecules on the page; the tables hold all."""
GRID = 25
"""Molecules of the grid."""
COLUMNS = (
    "smiles", "score", "similarity", "log_likelihood", "mass", "logp", "tpsa", "qed", "sa",
    "alerts", "known_as", "nearest_drug", "drug_tanimoto", "failed",
)  # fmt: skip

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .5rem; border-bottom: 1px solid #8886; text-align: left;
  vertical-align: middle; overflow-wrap: anywhere; font-size: 13px }
th { cursor: pointer; position: sticky; top: 0; background: Canvas }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.scroll { overflow-x: auto } td svg { background: #fff; border-radius: 6px }
.bar { background: #2f7fc1; height: .8rem; display: inline-block; border-radius: 3px }
.lost { background: #d1495b } input { font: inherit; padding: .3rem; width: 20rem; max-width: 100% }
pre { overflow-x: auto; font-size: 12px }
</style></head><body>
<h1>{{ title }}</h1><p>{{ lead }}</p>
<h2>What was rejected, and by what</h2>
<table><tbody>
{% for name, number, width, kind in bars %}
<tr><td style="width:14rem">{{ name }}</td><td class="n" style="width:6rem">{{ number }}</td>
<td><span class="bar {{ kind }}" style="width:{{ width }}%"></span></td></tr>
{% endfor %}
</tbody></table>
<p>{{ noted }}</p>
<h2>Candidates</h2>
<p>{{ shown }} Press a heading to sort. <label>Show only rows with <input id="only"></label></p>
<div class="scroll"><table id="all"><thead><tr><th>#</th><th>structure</th>
{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for drawing, cells in rows %}
<tr><td class="n">{{ loop.index }}</td><td>{{ drawing | safe }}</td>
{% for cell in cells %}<td{% if cell is number %} class="n"{% endif %}>{{ cell }}</td>{% endfor %}
</tr>
{% endfor %}
</tbody></table></div>
<h2>Made by</h2><pre>{{ provenance }}</pre>
<script>
const table = document.getElementById("all"), body = table.tBodies[0];
[...table.tHead.rows[0].cells].forEach((head, k) => head.onclick = () => {
  const value = row => row.cells[k].textContent, up = head.dataset.up !== "1";
  const order = (a, b) => {
    const x = value(a), y = value(b), n = x - y;
    return isNaN(n) || x === "" || y === "" ? x.localeCompare(y) : n;
  };
  [...body.rows].sort((a, b) => (up ? 1 : -1) * order(a, b)).forEach(r => body.append(r));
  head.dataset.up = up ? "1" : "0";
});
document.getElementById("only").oninput = event => [...body.rows].forEach(row =>
  row.hidden = !row.textContent.toLowerCase().includes(event.target.value.toLowerCase()));
</script></body></html>
"""


def page(
    title: str,
    lead: str,
    ranked: Sequence[Candidate],
    counts: Funnel,
    provenance: Mapping[str, Any],
) -> str:
    """Return the page as text; equal input gives equal bytes."""
    import json

    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    left, bars = counts.total, [("drawn or read", counts.total, 100.0, "")]
    for name, number in counts.rejected.items():
        left -= number
        bars.append((f"- {name}", number, _share(number, counts.total), "lost"))
    bars.append(("kept", left, _share(left, counts.total), ""))
    soft = {k: v for k, v in counts.noted.items() if k not in counts.rejected}
    noted = ", ".join(f"{name} {number:,}" for name, number in soft.items())
    rows = []
    shown_cells = [row_of(candidate) for candidate in ranked[:SHOWN]]
    columns = [c for c in COLUMNS if c != "score" or any(c in cells for cells in shown_cells)]
    for candidate, cells in zip(ranked, shown_cells, strict=False):
        smarts = [alert.smarts for alert in candidate.found.alerts]
        drawing = structure_svg(candidate.found.smiles, smarts)
        shown = [cells.get(column) for column in columns]
        rows.append((drawing, ["" if cell is None else cell for cell in shown]))
    return environment.from_string(TEMPLATE).render(
        title=title,
        lead=lead,
        bars=bars,
        noted=f"Noted, and not a reason to reject: {noted}." if noted else "",
        shown=f"The first {len(rows):,} of {len(ranked):,}; the tables hold all.",
        columns=columns,
        rows=rows,
        provenance=json.dumps(provenance, indent=1, sort_keys=True),
    )


def write_products(
    out: Path,
    title: str,
    lead: str,
    ranked: Sequence[Candidate],
    rejected: Sequence[Candidate],
    counts: Funnel,
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write everything that is made of candidates into a directory; return the files."""
    write_table(out / "candidates.csv", ranked)
    write_table(out / "rejected.csv", rejected)
    files = [out / "candidates.csv", out / "rejected.csv"]
    if ranked:
        write_table(out / "candidates.sdf", ranked)
        best = ranked[:GRID]
        smiles = [candidate.found.smiles for candidate in best]
        legends = [_legend(candidate) for candidate in best]
        with atomic_path(out / "grid.svg") as temporary:
            temporary.write_text(grid_svg(smiles, legends), encoding="utf-8")
        with atomic_path(out / "grid.png") as temporary:
            temporary.write_bytes(grid_png(smiles, legends))
        files += [out / "candidates.sdf", out / "grid.svg", out / "grid.png"]
    with atomic_path(out / "index.html") as temporary:
        text = page(title, lead, ranked, counts, provenance)
        temporary.write_text(text, encoding="utf-8")
    write_json(
        out / "manifest.json",
        {
            "provenance": provenance,
            "funnel": {"total": counts.total, "rejected": counts.rejected, "noted": counts.noted},
            "summary": funnel_text(counts).splitlines(),
        },
    )
    return [*files, out / "index.html", out / "manifest.json"]


def _legend(candidate: Candidate) -> str:
    known = candidate.found.properties
    words = [] if known is None else [f"QED {known.qed:.2f}, SA {known.sa:.1f}"]
    if candidate.similarity is not None:
        words.insert(0, f"Tc {candidate.similarity:.2f}")
    return ", ".join(words)


def _share(number: int, total: int) -> float:
    return round(100 * number / max(1, total), 2)
