"""Checks the layout of comments and Markdown that no formatter checks.

* A comment line of a Rust file has at most 100 columns, unless it is a single word such as a URL.
* A line of a Markdown file has at most one sentence. Code, tables, headings and link definitions are exempt.

It reads the files that git tracks, prints each offending line as `FILE:LINE: problem` and exits with 1 if
there are any.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_COLUMNS = 100

ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "cf.", "univ.")
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
# A full stop, perhaps with closing quotes or brackets, and the first word of another sentence. Emphasis,
# quotes and brackets may stand before that word.
SENTENCE_BREAK = re.compile(r"""(\S*[.!?])["')\]*_”’]*\s+["'(\[*_“‘]*[A-Z]""")
LIST_MARKER = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
LINK_DEFINITION = re.compile(r"\s*\[[^\]]+\]:\s")
FENCE = re.compile(r"\s*(`{3,}|~{3,})")
INDENTED_CODE = re.compile(r"(?: {4}|\t)")


def rust_problems(lines):
    """Yields the number and problem of each comment line that is too long."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        # The marker is one word, so a comment of two words has no place to wrap.
        can_wrap = len(text.split()) > 2
        if text.startswith("//") and len(line) > MAX_COLUMNS and can_wrap:
            yield number, f"the comment has {len(line)} columns, more than {MAX_COLUMNS}"


def markdown_problems(lines):
    """Yields the number and problem of each line with more than one sentence."""
    for number, line in prose_lines(lines):
        if second := second_sentence(line):
            yield number, f"a second sentence starts at “{second}”"


def prose_lines(lines):
    """Yields the numbered lines of Markdown that are text, without list markers."""
    fence, in_list, after_blank = None, False, True
    for number, line in enumerate(lines, 1):
        marker = FENCE.match(line)
        if fence:
            # The closing fence is at least as long as the opening one.
            if marker and marker[1].startswith(fence) and not line.strip(" `~"):
                fence = None
            continue
        if marker:
            fence = marker[1]
            continue
        if not line.strip():
            after_blank = True
            continue
        list_item = LIST_MARKER.match(line)
        # In a list, an indented paragraph belongs to the item. Elsewhere it is code after a blank line.
        if INDENTED_CODE.match(line) and after_blank and not in_list:
            continue
        if list_item or not line.startswith(" "):
            in_list = bool(list_item)
        after_blank = False
        if line.lstrip().startswith(("|", "#")) or LINK_DEFINITION.match(line):
            continue
        yield number, line[list_item.end() :] if list_item else line


def second_sentence(line):
    """Returns the start of the second sentence of a line, or nothing if it has only one."""
    text = INLINE_CODE.sub("`code`", line)
    for found in SENTENCE_BREAK.finditer(text):
        word = found[1].lstrip("(\"'“‘*_")
        is_initial = re.fullmatch(r"[A-Z]\.", word)
        if not is_initial and not word.lower().endswith(ABBREVIATIONS):
            return text[found.end() - 1 :][:30]
    return None


CHECKS = {".rs": rust_problems, ".md": markdown_problems}


def project_files():
    """Returns the Rust and Markdown files that git tracks or would add, and that exist."""
    patterns = (f"*{suffix}" for suffix in CHECKS)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def main():
    found = 0
    for file in project_files():
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, problem in CHECKS[file.suffix](lines):
            print(f"{file.relative_to(ROOT)}:{number}: {problem}")
            found += 1
    if found:
        sys.exit(f"{found} lines to wrap or to split")


if __name__ == "__main__":
    main()
