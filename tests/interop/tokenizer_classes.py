"""What `tokenizers` makes of every code point: writes the tables of tests/policy/tokenizer_classes_test.cpp.

    .venv/bin/python tests/interop/tokenizer_classes.py tests/policy

A few minutes. Sets of expressions are found by replacing what matches, other sets by cutting beside a code point.
"""

import sys
from pathlib import Path

from tokenizers import Regex
from tokenizers import normalizers as n
from tokenizers import pre_tokenizers as p

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
EXPRESSIONS = (
    [r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"\h", r"[^\s\p{L}\p{N}]", r"[^\r\n\p{L}\p{N}]", r"[\p{L}\p{M}]"]
    + [r"[\p{L}&&[^\p{Han}]]", r"[^\p{L}&&[^\p{Han}]]", r"[a[^\p{L}]]", r"[\P{L}a]", r"\p{^N}", r"[[:punct:]]", r"."]
    + [r"\p{%s}" % name for name in "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po".split()]
    + [r"\p{%s}" % name for name in "S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co".split()]
    + [r"\P{%s}" % name for name in "L M Mn N P S C Cn Han".split()]
    + [r"\p{%s}" % name for name in "Han Hiragana Katakana Hangul Latin Greek Cyrillic Arabic Hebrew Thai".split()]
    + [r"\p{%s}" % name for name in "Devanagari Common Inherited Khojki Kannada Lao Egyptian_Hieroglyphs".split()]
    + [r"(?i:s)", r"(?i:k)", r"(?i:[a-z])", r"(?i:[sdmt])", r"(?i:[^a-z])", r"[[:digit:]]", r"[[:^space:]]"]
)


def fnv(values):
    value = 0xCBF29CE484222325
    for number in values:
        for shift in range(0, 32, 8):
            value = ((value ^ (number >> shift & 0xFF)) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def matched(expression):
    """Each code point is replaced by one, so that places stay; by another one where it is that itself."""
    text = "".join(map(chr, CODE_POINTS))
    outs = [n.Replace(Regex(expression), mark).normalize_str(text) for mark in "\ue000\ue001"]
    return [c for c, a, b in zip(CODE_POINTS, *outs) if a == "\ue000" and b == "\ue001"]


def cut_at(pre_tokenizer, parts):
    return [c for c in CODE_POINTS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) in parts]


def mapping(normalizer):
    changed, out = 0, []
    for c in CODE_POINTS:
        texts = (chr(c), "a\u0327" + chr(c) + "\u0301\u0323", chr(c) + "\u0323\u0301\u05b0\u3099\u1161\u11a8\u0334")
        for text in texts:
            made = normalizer.normalize_str(text)
            if made != text:
                changed += 1
                out.extend(made.encode())
    return changed, out


def write(path, rows):
    lines = ['    {R"(%s)", %d, 0x%016xU},\n' % (what, count, fnv(values)) for what, count, values in rows]
    path.write_text("// Written by tests/interop/tokenizer_classes.py.\n" + "".join(lines))


def main():
    folder = Path(sys.argv[1])
    sets = [(expression, matched(expression)) for expression in EXPRESSIONS]
    write(folder / "tokenizer_expressions.inc", [(what, len(found), found) for what, found in sets])
    functions = [
        ("numeric", cut_at(p.Digits(False), (2, 3))),
        ("punctuation", cut_at(p.Punctuation(), (2, 3))),
        ("word", cut_at(p.Whitespace(), (1,))),
        ("space", cut_at(p.WhitespaceSplit(), (2,))),
    ]
    rows = [(what, len(found), found) for what, found in functions]
    forms = {"NFC": n.NFC(), "NFD": n.NFD(), "NFKC": n.NFKC(), "NFKD": n.NFKD(), "lowercase": n.Lowercase()}
    rows += [(what, *mapping(normalizer)) for what, normalizer in forms.items()]
    write(folder / "tokenizer_functions.inc", rows)


if __name__ == "__main__":
    main()
