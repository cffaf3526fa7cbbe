// Which columns of a JSONL record make a Problem: presets for known data sets, and a text form for
// others.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "datasets/problem.h"

namespace zeroth {

/// How the reference answer is read from the answer column.
enum class ReferenceRule {
  whole,         // the column is the answer
  after_hashes,  // the text after the last "####", without thousands commas (GSM8K)
};

/// How the worked completion is read from the solution column.
enum class SolutionRule {
  verbatim,
  // "<think>work</think> <answer>reference</answer>", the work being the text before the last
  // "####" without its calculator annotations "<<16-3=13>>" (GSM8K).
  think_answer,
};

struct ColumnMap {
  std::string question;
  std::string answer;
  std::string solution;  // "" when the data has none
  std::string id;        // "" when the data has none: ids become file:line
  ReferenceRule reference_rule = ReferenceRule::whole;
  SolutionRule solution_rule = SolutionRule::verbatim;
  bool solution_required =
      true;                     // false: a record without the solution column has an empty solution
  bool answer_required = true;  // false: without the answer column, the solution is the answer
};

/// The column map named by `text`: a preset,
///   gsm8k  question, answer (reference after "####", solution made of the text before it)
///   math   problem, answer, solution (MATH-500)
///   plain  question, answer, solution where the data has it
///   trl    prompt, answer, completion; either of the last may be absent
///   messages  messages, answer, where the data has it
/// or "question=Q,answer=A[,solution=S][,id=I][,reference=whole|after_hashes]" with the data's own
/// names. Throws InputError naming the nearest known name otherwise.
ColumnMap parse_columns(std::string_view text);

/// The Problem in one record. `source` is the record's "file:line", used in errors. The id is empty
/// where the map names no id column. Strings are taken as they are; an answer or id may also be a
/// number. Throws InputError for a missing column (null counts as missing), a column of another
/// type, an empty question or answer, and a rule that finds nothing.
///
/// The question may also be a conversation, a list of objects with a role; it stays among the other
/// columns then. An assistant's text at its end is the solution and no part of the question, where
/// the record has no other. A solution may be a list of one such message.
Problem problem_from_record(const boost::json::object& record, const ColumnMap& columns,
                            const std::string& source);

/// `text` without "<<…>>" parts; an unclosed "<<" stays.
std::string without_calculator_annotations(std::string_view text);

}  // namespace zeroth
