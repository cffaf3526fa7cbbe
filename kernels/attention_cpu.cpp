#include "kernels/attention.h"

#include "kernels/tile.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr int64_t kQueryBlock = 32;  // queries a task works on together
constexpr int64_t kKeyTile = 32;

// Memory of one task, released with it.
struct Scratch {
  explicit Scratch(int64_t floats)
      : data(static_cast<float*>(
            __builtin_malloc(static_cast<size_t>(larger(1, floats)) * sizeof(float)))) {}
  ~Scratch() { __builtin_free(data); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* data;
};

// Queries [query_begin, query_end) of members [member_begin, member_end) of one group. More than
// one member only with all their queries.
struct Task {
  int64_t group;
  int64_t member_begin, member_end;
  int64_t query_begin, query_end;
};

struct TaskList {
  explicit TaskList(const AttentionLayout& layout) {
    int64_t capacity = 0;
    for (int64_t m = 0; m < layout.num_members; ++m)
      capacity += layout.members[m].num_queries / kQueryBlock + 1;
    tasks = static_cast<Task*>(
        __builtin_malloc(static_cast<size_t>(larger(1, capacity)) * sizeof(Task)));
    for (int64_t g = 0; g < layout.num_groups; ++g) add_group(layout, g);
  }
  ~TaskList() { __builtin_free(tasks); }
  TaskList(const TaskList&) = delete;
  TaskList& operator=(const TaskList&) = delete;

  void add_group(const AttentionLayout& layout, int64_t g) {
    const AttentionGroup& group = layout.groups[g];
    const int64_t end = group.first_member + group.num_members;
    for (int64_t m = group.first_member; m < end;) {
      int64_t queries = layout.members[m].num_queries;
      int64_t stop = m + 1;
      while (stop < end && queries + layout.members[stop].num_queries <= kQueryBlock) {
        queries += layout.members[stop++].num_queries;
      }
      for (int64_t q = 0; stop == m + 1 && q < queries; q += kQueryBlock) {
        tasks[count++] = {g, m, stop, q, smaller(queries, q + kQueryBlock)};
      }
      if (stop > m + 1) tasks[count++] = {g, m, stop, 0, 0};
      m = stop;
    }
  }

  Task* tasks;
  int64_t count = 0;
};

// The part of a member that a task works on.
struct Part {
  const AttentionMember* member;
  int64_t query_begin, query_end;
  int64_t own_keys() const { return member->own_before + query_end; }  // seen by the last query
};

Part part_of(const AttentionLayout& layout, const Task& task, int64_t m) {
  const AttentionMember& member = layout.members[m];
  if (task.member_end - task.member_begin > 1) return {&member, 0, member.num_queries};
  return {&member, task.query_begin, task.query_end};
}

// kt[d][j] = row (first + j)[d] for j below 16 or 32, d below D. Beyond `count` the last row is
// repeated.
void transpose_keys(const float* rows, int64_t stride, int64_t count, int64_t D, float* kt) {
  for (int64_t j0 = 0; j0 < count; j0 += 16) {
    const float* pointers[16];
    for (int64_t j = 0; j < 16; ++j) pointers[j] = rows + smaller(j0 + j, count - 1) * stride;
    int64_t d = 0;
    for (; d + 16 <= D; d += 16) transpose16(pointers, d, kt + d * kKeyTile + j0, kKeyTile);
    for (; d < D; ++d) {
      for (int64_t j = 0; j < 16; ++j) kt[d * kKeyTile + j0 + j] = pointers[j][d];
    }
  }
}

// out[r][j] = chain over d of x[r][d] * cache row j [column + d], for the first `limit` keys of the
// runs.
void products_with_keys(const float* x, int64_t R, int64_t D, const float* cache, int64_t stride,
                        int64_t column, const KeyRun* runs, int64_t num_runs, int64_t limit,
                        float* out, int64_t ld, float* kt) {
  int64_t key = 0;
  for (int64_t i = 0; i < num_runs && key < limit; ++i) {
    const int64_t count = smaller(runs[i].count, limit - key);
    for (int64_t j = 0; j < count; j += kKeyTile) {
      const int64_t n = smaller(kKeyTile, count - j);
      transpose_keys(cache + (runs[i].row + j) * stride + column, stride, n, D, kt);
      block_product({x, D, 1}, R, kt, kKeyTile, D, n, out + key + j, ld, false);
    }
    key += count;
  }
}

// out[r][d] += chain over j of p[r][j] * cache row j [column + d], for the first `limit` keys of
// the runs.
void weighted_rows(const float* p, int64_t ld, int64_t R, const float* cache, int64_t stride,
                   int64_t column, int64_t D, const KeyRun* runs, int64_t num_runs, int64_t limit,
                   float* out) {
  int64_t key = 0;
  for (int64_t i = 0; i < num_runs && key < limit; ++i) {
    const int64_t count = smaller(runs[i].count, limit - key);
    block_product({p + key, ld, 1}, R, cache + runs[i].row * stride + column, stride, count, D, out,
                  D, true);
    key += count;
  }
}

void gather_heads(const float* x, int64_t first_query, int64_t queries, int64_t H, int64_t head,
                  int64_t heads, int64_t D, float* out) {
  for (int64_t q = 0; q < queries; ++q) {
    memcpy(out + q * heads * D, x + ((first_query + q) * H + head) * D,
           static_cast<size_t>(heads * D) * 4);
  }
}

// score -> exp(scale * score - max) over the n keys a row sees; returns the sum.
float exponentials(float* score, int64_t n, float scale, float* maximum) {
  const F16 lowest = set1(-__builtin_inff());
  F16 top = lowest;
  for (int64_t j = 0; j < n; j += 16) {
    const F16 s = mul(load(score + j, n - j), set1(scale));
    store(score + j, s, n - j);
    top = max(top, first(n - j, s, lowest));
  }
  *maximum = max_of(top);
  F16 total = set1(0.0F);
  for (int64_t j = 0; j < n; j += 16) {
    const F16 e = first(n - j, exp(sub(load(score + j, n - j), set1(*maximum))), set1(0.0F));
    store(score + j, e, n - j);
    total = add(total, e);
  }
  return sum(total);
}

struct ForwardTask {
  const AttentionArgs& args;
  const Task& task;
  const AttentionGroup& group;
  int64_t heads;  // query heads a kv head
  int64_t rows = 0;
  int64_t ld = 0;

  ForwardTask(const AttentionArgs& a, const Task& t)
      : args(a), task(t), group(a.layout.groups[t.group]), heads(a.shape.H / a.shape.Hkv) {
    int64_t keys = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      rows += (part.query_end - part.query_begin) * heads;
      keys = larger(keys, part.own_keys());
    }
    ld = (group.prefix_length + keys + 15) / 16 * 16;
  }

  void run() const {
    const AttentionShape& s = args.shape;
    const Scratch q(rows * s.Dk);
    const Scratch score(rows * ld);
    const Scratch out(rows * s.Dv);
    const Scratch inverse(rows);
    const Scratch kt(larger(s.Dk, s.Dv) * kKeyTile);
    for (int64_t kv = 0; kv < s.Hkv; ++kv) {
      scores(kv, q.data, score.data, kt.data);
      softmax(kv, score.data, inverse.data);
      values(kv, score.data, inverse.data, out.data);
    }
  }

  void scores(int64_t kv, float* q, float* score, float* kt) const {
    const AttentionShape& s = args.shape;
    int64_t row = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      const int64_t queries = part.query_end - part.query_begin;
      gather_heads(args.q, part.member->first_query + part.query_begin, queries, s.H, kv * heads,
                   heads, s.Dk, q + row * s.Dk);
      products_with_keys(q + row * s.Dk, queries * heads, s.Dk, args.cache, s.cache_row,
                         kv * s.k_head, args.layout.runs + part.member->first_run,
                         part.member->num_runs, part.own_keys(),
                         score + row * ld + group.prefix_length, ld, kt);
      row += queries * heads;
    }
    products_with_keys(q, rows, s.Dk, args.cache, s.cache_row, kv * s.k_head,
                       args.layout.runs + group.first_run, group.num_runs, group.prefix_length,
                       score, ld, kt);
  }

  void softmax(int64_t kv, float* score, float* inverse) const {
    int64_t row = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      for (int64_t i = part.query_begin; i < part.query_end; ++i) {
        const int64_t n = group.prefix_length + part.member->own_before + i + 1;
        for (int64_t h = 0; h < heads; ++h, ++row) {
          float maximum;
          const float total = exponentials(score + row * ld, n, args.shape.scale, &maximum);
          inverse[row] = 1.0F / total;
          if (args.row_max == nullptr) continue;
          const int64_t at = (part.member->first_query + i) * args.shape.H + kv * heads + h;
          args.row_max[at] = maximum;
          args.row_sum[at] = total;
        }
      }
    }
  }

  void values(int64_t kv, const float* p, const float* inverse, float* out) const {
    const AttentionShape& s = args.shape;
    const int64_t column = s.v_offset + kv * s.v_head;
    memset(out, 0, static_cast<size_t>(rows * s.Dv) * 4);
    weighted_rows(p, ld, rows, args.cache, s.cache_row, column, s.Dv,
                  args.layout.runs + group.first_run, group.num_runs, group.prefix_length, out);
    int64_t row = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      for (int64_t i = part.query_begin; i < part.query_end; ++i, row += heads) {
        weighted_rows(p + row * ld + group.prefix_length, ld, heads, args.cache, s.cache_row,
                      column, s.Dv, args.layout.runs + part.member->first_run,
                      part.member->num_runs, part.member->own_before + i + 1, out + row * s.Dv);
        for (int64_t h = 0; h < heads; ++h) {
          write_row(out + (row + h) * s.Dv, inverse[row + h],
                    args.out + ((part.member->first_query + i) * s.H + kv * heads + h) * s.Dv);
        }
      }
    }
  }

  void write_row(const float* from, float factor, float* to) const {
    for (int64_t d = 0; d < args.shape.Dv; d += 16) {
      const int64_t n = args.shape.Dv - d;
      const F16 value = mul(load(from + d, n), set1(factor));
      store(to + d, args.round_bf16 ? round_bf16(value) : value, n);
    }
  }
};

}  // namespace

void attention(const Context& context, const AttentionArgs& args) {
  const TaskList list(args.layout);
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ForwardTask(args, list.tasks[i]).run();
  };
  context.pool->parallel_for(list.count, 1, run);
}

namespace {

// The gradient of one block of queries of one member.
struct BackwardBlock {
  const AttentionBackwardArgs& args;
  const AttentionGroup& group;
  const AttentionMember& member;
  int64_t query_begin, query_end;
  float* dprefix;  // [prefix_length, cache_row], this member's share
  int64_t heads, rows, own, keys, ld;

  BackwardBlock(const AttentionBackwardArgs& a, const AttentionGroup& g, const AttentionMember& m,
                int64_t begin, int64_t end, float* prefix)
      : args(a),
        group(g),
        member(m),
        query_begin(begin),
        query_end(end),
        dprefix(prefix),
        heads(a.shape.H / a.shape.Hkv),
        rows((end - begin) * heads),
        own(m.own_before + end),
        keys(g.prefix_length + own),
        ld((keys + 15) / 16 * 16) {}

  void run() const {
    const AttentionShape& s = args.shape;
    const Scratch q(rows * s.Dk);
    const Scratch dout(rows * s.Dv);
    const Scratch p(rows * ld);
    const Scratch ds(rows * ld);
    const Scratch dq(rows * s.Dk);
    const Scratch kt(larger(s.Dk, s.Dv) * kKeyTile);
    const int64_t first = member.first_query + query_begin;
    for (int64_t kv = 0; kv < s.Hkv; ++kv) {
      gather_heads(args.q, first, query_end - query_begin, s.H, kv * heads, heads, s.Dk, q.data);
      gather_heads(args.dout, first, query_end - query_begin, s.H, kv * heads, heads, s.Dv,
                   dout.data);
      both_key_sets(q.data, s.Dk, kv * s.k_head, p.data, kt.data);
      both_key_sets(dout.data, s.Dv, s.v_offset + kv * s.v_head, ds.data, kt.data);
      probabilities(kv, dout.data, p.data, ds.data);
      query_gradient(kv, ds.data, dq.data);
      key_gradients(ds.data, q.data, s.Dk, kv * s.k_head);
      key_gradients(p.data, dout.data, s.Dv, s.v_offset + kv * s.v_head);
    }
  }

  void both_key_sets(const float* x, int64_t D, int64_t column, float* out, float* kt) const {
    const int64_t stride = args.shape.cache_row;
    products_with_keys(x, rows, D, args.cache, stride, column, args.layout.runs + group.first_run,
                       group.num_runs, group.prefix_length, out, ld, kt);
    products_with_keys(x, rows, D, args.cache, stride, column, args.layout.runs + member.first_run,
                       member.num_runs, own, out + group.prefix_length, ld, kt);
  }

  // p: scores -> probabilities; ds: dP -> dScore. Keys a query does not see get zeros.
  void probabilities(int64_t kv, const float* dout, float* p, float* ds) const {
    const AttentionShape& s = args.shape;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t query = query_begin + row / heads;
      const int64_t n = group.prefix_length + member.own_before + query + 1;
      const int64_t at = (member.first_query + query) * s.H + kv * heads + row % heads;
      const F16 inner = set1(dot(dout + row * s.Dv, args.out + at * s.Dv, s.Dv));
      const F16 maximum = set1(args.row_max[at]);
      const F16 inverse = set1(1.0F / args.row_sum[at]);
      for (int64_t j = 0; j < ld; j += 16) {
        float* pj = p + row * ld + j;
        float* dj = ds + row * ld + j;
        const int64_t seen = larger(0, n - j);
        const F16 e = exp(sub(mul(load(pj, seen), set1(s.scale)), maximum));
        const F16 probability = first(seen, mul(e, inverse), set1(0.0F));
        store(pj, probability);
        store(dj, mul(mul(probability, sub(load(dj, seen), inner)), set1(s.scale)));
      }
    }
  }

  void query_gradient(int64_t kv, const float* ds, float* dq) const {
    const AttentionShape& s = args.shape;
    memset(dq, 0, static_cast<size_t>(rows * s.Dk) * 4);
    weighted_rows(ds, ld, rows, args.cache, s.cache_row, kv * s.k_head, s.Dk,
                  args.layout.runs + group.first_run, group.num_runs, group.prefix_length, dq);
    weighted_rows(ds + group.prefix_length, ld, rows, args.cache, s.cache_row, kv * s.k_head, s.Dk,
                  args.layout.runs + member.first_run, member.num_runs, own, dq);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t query = member.first_query + query_begin + row / heads;
      memcpy(args.dq + (query * s.H + kv * heads + row % heads) * s.Dk, dq + row * s.Dk,
             static_cast<size_t>(s.Dk) * 4);
    }
  }

  // gradient[j][column + d] += chain over rows of w[row][j] * x[row][d]
  void key_gradients(const float* w, const float* x, int64_t D, int64_t column) const {
    const int64_t stride = args.shape.cache_row;
    if (group.prefix_length > 0) {
      block_product({w, 1, ld}, group.prefix_length, x, D, rows, D, dprefix + column, stride, true);
    }
    int64_t key = 0;
    for (int64_t i = 0; i < member.num_runs && key < own; ++i) {
      const KeyRun& run_of_keys = args.layout.runs[member.first_run + i];
      const int64_t count = smaller(run_of_keys.count, own - key);
      block_product({w + group.prefix_length + key, 1, ld}, count, x, D, rows, D,
                    args.dcache + run_of_keys.row * stride + column, stride, true);
      key += count;
    }
  }
};

// Where each member's share of its group's prefix gradient stands.
struct PrefixShares {
  PrefixShares(const AttentionLayout& layout, int64_t cache_row) {
    offsets = static_cast<int64_t*>(
        __builtin_malloc(static_cast<size_t>(layout.num_members + 1) * sizeof(int64_t)));
    groups = static_cast<int64_t*>(
        __builtin_malloc(static_cast<size_t>(layout.num_members + 1) * sizeof(int64_t)));
    int64_t total = 0;
    for (int64_t g = 0; g < layout.num_groups; ++g) {
      const AttentionGroup& group = layout.groups[g];
      for (int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
        offsets[m] = total;
        groups[m] = g;
        total += group.prefix_length * cache_row;
      }
    }
    data =
        static_cast<float*>(__builtin_calloc(static_cast<size_t>(larger(1, total)), sizeof(float)));
  }
  ~PrefixShares() {
    __builtin_free(data);
    __builtin_free(offsets);
    __builtin_free(groups);
  }
  PrefixShares(const PrefixShares&) = delete;
  PrefixShares& operator=(const PrefixShares&) = delete;

  float* data;
  int64_t* offsets;  // [members]
  int64_t* groups;   // [members]
};

// Adds the members' shares to the prefix rows of one group, in member order.
void add_prefix_shares(const AttentionBackwardArgs& args, const AttentionGroup& group,
                       const PrefixShares& shares) {
  const int64_t width = args.shape.cache_row;
  int64_t key = 0;
  for (int64_t i = 0; i < group.num_runs && key < group.prefix_length; ++i) {
    const KeyRun& run = args.layout.runs[group.first_run + i];
    for (int64_t j = 0; j < run.count && key < group.prefix_length; ++j, ++key) {
      float* row = args.dcache + (run.row + j) * width;
      for (int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
        const float* share = shares.data + shares.offsets[m] + key * width;
        for (int64_t d = 0; d < width; d += 16) {
          store(row + d, add(load(row + d, width - d), load(share + d, width - d)), width - d);
        }
      }
    }
  }
}

}  // namespace

void attention_backward(const Context& context, const AttentionBackwardArgs& args) {
  const AttentionLayout& layout = args.layout;
  const PrefixShares shares(layout, args.shape.cache_row);
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const AttentionMember& member = layout.members[m];
      for (int64_t q = 0; q < member.num_queries; q += kQueryBlock) {
        BackwardBlock(args, layout.groups[shares.groups[m]], member, q,
                      smaller(member.num_queries, q + kQueryBlock), shares.data + shares.offsets[m])
            .run();
      }
    }
  };
  context.pool->parallel_for(layout.num_members, 1, run);
  const auto reduce = [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) add_prefix_shares(args, layout.groups[g], shares);
  };
  context.pool->parallel_for(layout.num_groups, 1, reduce);
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
