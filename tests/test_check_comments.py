"""Tests of check_comments.py. `tests/run` runs them before the check itself."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from check_comments import markdown_problems, prose_lines, rust_problems, second_sentence  # noqa: E402


def numbers(problems):
    return [number for number, _ in problems]


class RustComments(unittest.TestCase):
    def test_a_comment_may_have_100_columns_including_its_indentation(self):
        words = "word " * 18 + "end"
        self.assertEqual(len(f"    // {words}"), 100)
        self.assertEqual(numbers(rust_problems([f"    // {words}"])), [])
        self.assertEqual(numbers(rust_problems(["", f"     // {words}"])), [2])

    def test_doc_comments_count_and_code_does_not(self):
        long = "word " * 30
        lines = [f"/// {long}", f"//! {long}", f"let x = 1; // {long}", f"let y = {long};"]
        self.assertEqual(numbers(rust_problems(lines)), [1, 2])

    def test_columns_are_characters_and_not_bytes(self):
        self.assertEqual(numbers(rust_problems(["// " + "é " * 48])), [])

    def test_a_single_long_word_cannot_be_wrapped(self):
        self.assertEqual(numbers(rust_problems(["// https://example.com/" + "a" * 100])), [])


class Sentences(unittest.TestCase):
    def test_two_sentences_are_found(self):
        for line in [
            "One is here. Another follows.",
            "Is it one? No, two.",
            "It ends in `code`. Then another.",
            'He said "stop." Then he left.',
            "It is *emphasised.* Then it goes on.",
            "See [the page](page.md). Another follows.",
            "One. **Another** in bold.",
        ]:
            self.assertIsNotNone(second_sentence(line), line)

    def test_one_sentence_is_accepted(self):
        for line in [
            "Only one sentence.",
            "Tools, e.g. Pillow, read it.",
            "Formats (i.e. JPEG, PNG, etc.) are fine.",
            "Parquet vs. Arrow.",
            "The version is 1.2. and no more.",
            "By A. Author and others.",
            "A file named `a. B` is one word.",
            "It takes 3.5 GB.",
        ]:
            self.assertIsNone(second_sentence(line), line)


class Markdown(unittest.TestCase):
    def test_code_tables_headings_and_link_definitions_are_exempt(self):
        lines = [
            "# Title. With a stop",
            "",
            "    indented. Code",
            "",
            "```text",
            "fenced. Code",
            "```",
            "| cell. Another | x |",
            "[link]: page.md",
            "Text. Two sentences.",
        ]
        self.assertEqual(numbers(markdown_problems(lines)), [10])

    def test_a_numbered_list_marker_does_not_end_a_sentence(self):
        self.assertEqual(numbers(markdown_problems(["1. Only one.", "2. One. Two."])), [2])

    def test_indented_paragraphs_of_a_list_item_are_text(self):
        lines = ["* Item one.", "", "    More. Of it.", "", "Paragraph.", "", "    code. Here"]
        self.assertEqual(numbers(markdown_problems(lines)), [3])

    def test_a_fence_ends_only_with_an_equal_fence(self):
        lines = ["````", "```", "inner. Code", "````", "Text after."]
        self.assertEqual([line for _, line in prose_lines(lines)], ["Text after."])


if __name__ == "__main__":
    unittest.main()
