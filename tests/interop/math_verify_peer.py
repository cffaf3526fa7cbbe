"""Math-Verify as the peer of `zeroth bench rewards`: what it says of pairs of answers, and how long it takes.

Reads lines: the path of a file of cases, one JSON object a line, of which those with "gold" and "pred" are graded.
Answers each with one line {"rows", "seconds", "p50", "p99", "p999", "max", "labelled", "agree", "false_positives",
"peak_rss_bytes", "version"}; times are microseconds of one case, in which gold and pred are parsed and compared. The
JSON is parsed beforehand. One process, one thread, the package's own timeouts of 5 s, on which it relies.

--disagreements also writes every case it disagrees on, with what it made of both sides, to standard error.
"""

import argparse
import importlib.metadata
import json
import logging
import resource
import sys
import time
from pathlib import Path

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify


def extraction_of(options):
    """The configurations that a case names; the package's own where it names none."""
    kinds = options.get("extract") or ["latex", "expr"]
    priority = options.get("boxed_match_priority", 50)
    made = {
        "latex": LatexExtractionConfig(boxed_match_priority=priority),
        "expr": ExprExtractionConfig(),
    }
    return [made[kind] for kind in kinds if kind in made]


def as_mathematics(answer):
    """An answer as the package wants LaTeX: between dollars, unless it brings its own surroundings."""
    own = "$" in answer or "\\boxed" in answer or "\\(" in answer or "\\[" in answer
    return answer if own else f"${answer}$"


def texts_of(case):
    """What is parsed for gold and for pred."""
    gold, pred = str(case["gold"]), str(case["pred"])
    mode = case.get("mode")
    prefix = (case.get("options") or {}).get("answer_prefix")
    if prefix and prefix in pred:
        pred = pred.rsplit(prefix, 1)[1].split("\n", 1)[0]
    if mode in ("answer-vs-answer", "text-vs-answer", "completion"):
        gold = as_mathematics(gold)
    if mode == "answer-vs-answer":
        pred = as_mathematics(pred)
    return gold, pred


def grade(case):
    options = case.get("options") or {}
    gold, pred = texts_of(case)
    extraction = extraction_of(options)
    read_gold = parse(gold, extraction)
    read_pred = parse(pred, extraction)
    equal = verify(
        read_gold,
        read_pred,
        float_rounding=options.get("float_rounding", 6),
        strict=options.get("strict", True),
        allow_set_relation_comp=options.get("allow_set_relation_comp", False),
    )
    return bool(equal), read_gold, read_pred


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def grade_file(path, show):
    cases = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line) if line.strip() else {}
            if "gold" in case and "pred" in case:
                cases.append(case)
    times, labelled, agree, false_positives = [], 0, 0, 0
    for case in cases:
        start = time.perf_counter()
        verdict, gold, pred = grade(case)
        times.append((time.perf_counter() - start) * 1e6)
        expected = case.get("expected")
        if not isinstance(expected, bool) or "disputed" in case or "policy_note" in case:
            continue
        labelled += 1
        agree += verdict == expected
        false_positives += verdict and not expected
        if show and verdict != expected:
            note = {"id": case.get("id"), "gold": case["gold"], "pred": str(case["pred"])[-200:]}
            note.update(expected=expected, read_gold=str(gold), read_pred=str(pred))
            print(json.dumps(note, ensure_ascii=False), file=sys.stderr)
    ordered = sorted(times) or [0.0]
    return {
        "rows": len(cases),
        "seconds": sum(times) / 1e6,
        "p50": percentile(ordered, 0.5),
        "p99": percentile(ordered, 0.99),
        "p999": percentile(ordered, 0.999),
        "max": ordered[-1],
        "labelled": labelled,
        "agree": agree,
        "false_positives": false_positives,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "version": importlib.metadata.version("math-verify"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--disagreements", action="store_true", help="write them to standard error")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    grade({"gold": "1", "pred": "$\\frac{2}{2}$"})  # builds the package's tables, which no case is charged for
    for line in sys.stdin:
        print(json.dumps(grade_file(Path(line.strip()), arguments.disagreements)), flush=True)


if __name__ == "__main__":
    main()
