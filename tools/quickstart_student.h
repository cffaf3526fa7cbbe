// The quickstart's last phase: what GRPO taught the teacher, in a dense student of two fifths of
// its parameters.
#pragma once

#include <filesystem>
#include <vector>

#include "datasets/problem.h"
#include "tools/distill_run.h"
#include "tools/quickstart_settings.h"

namespace zeroth {

/// Distils `teacher` into `directory`/student, or goes on. Interrupted when `hooks` ask for it.
DistillResult quickstart_student(const Context& context, const QuickstartConfig& config,
                                 const std::filesystem::path& teacher,
                                 const std::filesystem::path& directory,
                                 const std::vector<Problem>& train,
                                 const std::vector<Problem>& test,
                                 const PromptTemplate& prompt_template, const DistillHooks& hooks);

}  // namespace zeroth
