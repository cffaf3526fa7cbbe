// The public name of every kernel: a jump to the copy compiled for the context's instruction set.
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/moe_permute.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/router.h"
#include "kernels/swiglu.h"
#include "kernels/token_logprob.h"

// clang-format off
#if defined(__x86_64__)
#define ZEROTH_WIDE_CASES(kernel)                            \
  case Isa::avx2: return isa_avx2::kernel(context, args);    \
  case Isa::avx512: return isa_avx512::kernel(context, args);
#define ZEROTH_DECLARE_WIDE(kernel, Args)                                     \
  namespace isa_avx2 { void kernel(const Context& context, const Args& args); } \
  namespace isa_avx512 { void kernel(const Context& context, const Args& args); }
#else
#define ZEROTH_WIDE_CASES(kernel) \
  case Isa::avx2:                 \
  case Isa::avx512: break;
#define ZEROTH_DECLARE_WIDE(kernel, Args)
#endif

#define ZEROTH_DISPATCH(kernel, Args)                                             \
  namespace isa_portable { void kernel(const Context& context, const Args& args); } \
  ZEROTH_DECLARE_WIDE(kernel, Args)                                               \
  void kernel(const Context& context, const Args& args) {                         \
    switch (context.isa) {                                                        \
      ZEROTH_WIDE_CASES(kernel)                                                   \
      case Isa::portable: break;                                                  \
    }                                                                             \
    isa_portable::kernel(context, args);                                          \
  }
// clang-format on

namespace zeroth {

ZEROTH_DISPATCH(adamw, AdamwArgs)
ZEROTH_DISPATCH(squared_norm_blocks, SquaredNormArgs)
ZEROTH_DISPATCH(attention, AttentionArgs)
ZEROTH_DISPATCH(attention_backward, AttentionBackwardArgs)
ZEROTH_DISPATCH(gemm, GemmArgs)
ZEROTH_DISPATCH(weight_gradient, WeightGradientArgs)
ZEROTH_DISPATCH(column_gradient, ColumnGradientArgs)
ZEROTH_DISPATCH(moe_gather, MoeGatherArgs)
ZEROTH_DISPATCH(moe_combine, MoeCombineArgs)
ZEROTH_DISPATCH(moe_combine_backward, MoeCombineBackwardArgs)
ZEROTH_DISPATCH(add_to, AddArgs)
ZEROTH_DISPATCH(rms_norm, RmsNormArgs)
ZEROTH_DISPATCH(rms_norm_backward, RmsNormBackwardArgs)
ZEROTH_DISPATCH(rope, RopeArgs)
ZEROTH_DISPATCH(router, RouterArgs)
ZEROTH_DISPATCH(router_backward, RouterBackwardArgs)
ZEROTH_DISPATCH(swiglu, SwigluArgs)
ZEROTH_DISPATCH(swiglu_backward, SwigluBackwardArgs)
ZEROTH_DISPATCH(token_logprob, TokenLogprobArgs)
ZEROTH_DISPATCH(token_logprob_backward, TokenLogprobBackwardArgs)
ZEROTH_DISPATCH(token_weights, TokenWeightsArgs)
ZEROTH_DISPATCH(sample, SampleArgs)

}  // namespace zeroth
