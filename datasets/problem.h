// What every data set becomes: a question and the answer a rule can check.
#pragma once

#include <string>

namespace zeroth {

struct Problem {
  std::string id;        // unique within its data set; file:line when the data has none
  std::string question;  // text that fills the prompt template's {question}
  std::string answer;    // the reference answer, as the rewards compare it ("18", "\\frac{1}{2}")
  std::string solution;  // a worked completion for supervised fine-tuning; may be empty
  std::string columns_json;      // every other column of the record as one JSON object, for plugins
  bool is_conversation = false;  // `question` is the JSON text of a list of messages
  std::string prompt = {};       // where it is made already, and not by the prompt template
};

}  // namespace zeroth
