#include "kernels/attention.h"

#include "kernels/tile.h"

namespace zeroth {
namespace ZEROTH_ISA {
namespace {

constexpr int64_t kQueryBlock = 32;  // queries a task works on together, at the least
constexpr int64_t kRowBlock = 128;   // of queries and heads: enough to pay for reading a key
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

// Queries of one member that are worked on together. With few query heads to a kv head, more of
// them.
int64_t query_block(const AttentionShape& shape) {
  return larger(kQueryBlock, kRowBlock * shape.Hkv / shape.H);
}

struct TaskList {
  TaskList(const AttentionLayout& layout, const AttentionShape& shape) : block(query_block(shape)) {
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
      // A short member is work for several threads before it is for long blocks.
      const int64_t step = queries < 4 * block ? kQueryBlock : block;
      for (int64_t q = 0; stop == m + 1 && q < queries; q += step) {
        tasks[count++] = {g, m, stop, q, smaller(queries, q + step)};
      }
      if (stop > m + 1) tasks[count++] = {g, m, stop, 0, 0};
      m = stop;
    }
  }

  int64_t block;
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
void products_with_keys(TileA x, int64_t R, int64_t D, const float* cache, int64_t stride,
                        int64_t column, const KeyRun* runs, int64_t num_runs, int64_t limit,
                        float* out, int64_t ld, float* kt) {
  int64_t key = 0;
  for (int64_t i = 0; i < num_runs && key < limit; ++i) {
    const int64_t count = smaller(runs[i].count, limit - key);
    for (int64_t j = 0; j < count; j += kKeyTile) {
      const int64_t n = smaller(kKeyTile, count - j);
      transpose_keys(cache + (runs[i].row + j) * stride + column, stride, n, D, kt);
      block_product(x, R, kt, kKeyTile, D, n, out + key + j, ld, false);
    }
    key += count;
  }
}

// out[r][d] += chain over j of p[r][j] * cache row j [column + d], for keys [begin, end) of the
// runs.
void weighted_rows(TileA p, int64_t R, const float* cache, int64_t stride, int64_t column,
                   int64_t D, const KeyRun* runs, int64_t num_runs, int64_t begin, int64_t end,
                   float* out, int64_t ldo) {
  int64_t key = 0;  // of the run's first row
  for (int64_t i = 0; i < num_runs && key < end; key += runs[i++].count) {
    const int64_t first = larger(begin, key);
    const int64_t count = smaller(key + runs[i].count, end) - first;
    if (count <= 0) continue;
    block_product({p.a + first, p.row, 1}, R, cache + (runs[i].row + first - key) * stride + column,
                  stride, count, D, out, ldo, true);
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

// The keys of a group's prefix, as a task sees them. Standing apart, each query head has its own:
// row r of a task then meets head r % split of the prefix; else split is 1.
struct PrefixKeys {
  template <class Args>
  PrefixKeys(const Args& args, const AttentionGroup& g)
      : group(g),
        runs(args.layout.runs + g.first_run),
        apart(args.prefix.cache != nullptr),
        shape(apart ? args.prefix.shape : args.shape),
        cache(apart ? args.prefix.cache : args.cache),
        split(shape.Hkv / args.shape.Hkv) {}

  int64_t k_column(int64_t kv, int64_t i) const { return (kv * split + i) * shape.k_head; }
  int64_t v_column(int64_t kv, int64_t i) const {
    return shape.v_offset + (kv * split + i) * shape.v_head;
  }

  // x [rows, D] with the K (or V, where D is their width) of every key: out[row][j].
  void products(const float* x, int64_t rows, int64_t D, int64_t kv, bool with_values, float* out,
                int64_t ld, float* kt) const {
    for (int64_t i = 0; i < split; ++i) {
      products_with_keys({x + i * D, split * D, 1}, rows / split, D, cache, shape.cache_row,
                         with_values ? v_column(kv, i) : k_column(kv, i), runs, group.num_runs,
                         group.prefix_length, out + i * ld, split * ld, kt);
    }
  }

  // out[row] += sum over j of p[row][j] times the K (or V) of key j.
  void add_weighted(const float* p, int64_t ld, int64_t rows, int64_t D, int64_t kv, bool values,
                    float* out) const {
    for (int64_t i = 0; i < split; ++i) {
      weighted_rows({p + i * ld, split * ld, 1}, rows / split, cache, shape.cache_row,
                    values ? v_column(kv, i) : k_column(kv, i), D, runs, group.num_runs, 0,
                    group.prefix_length, out + i * D, split * D);
    }
  }

  const AttentionGroup& group;
  const KeyRun* runs;
  bool apart;
  const AttentionShape& shape;
  const float* cache;
  int64_t split;
};

struct ForwardTask {
  const AttentionArgs& args;
  const Task& task;
  const AttentionGroup& group;
  PrefixKeys prefix;
  int64_t heads;  // query heads a kv head
  int64_t rows = 0;
  int64_t ld = 0;

  ForwardTask(const AttentionArgs& a, const Task& t)
      : args(a),
        task(t),
        group(a.layout.groups[t.group]),
        prefix(a, group),
        heads(a.shape.H / a.shape.Hkv) {
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
    const int64_t apart_rows = prefix.apart ? rows : 0;
    const Scratch q(rows * s.Dk);
    const Scratch prefix_q(apart_rows * prefix.shape.Dk);
    const Scratch score(rows * ld);
    const Scratch out(rows * s.Dv);
    const Scratch prefix_out(apart_rows * prefix.shape.Dv);
    const Scratch inverse(rows);
    const Scratch kt(larger(s.Dk, prefix.shape.Dk) * kKeyTile);
    for (int64_t kv = 0; kv < s.Hkv; ++kv) {
      scores(kv, q.data, prefix.apart ? prefix_q.data : q.data, score.data, kt.data);
      softmax(kv, score.data, inverse.data);
      values(kv, score.data, inverse.data, out.data, prefix.apart ? prefix_out.data : out.data);
    }
  }

  void scores(int64_t kv, float* q, float* prefix_q, float* score, float* kt) const {
    const AttentionShape& s = args.shape;
    int64_t row = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      const int64_t queries = part.query_end - part.query_begin;
      const int64_t first_query = part.member->first_query + part.query_begin;
      gather_heads(args.q, first_query, queries, s.H, kv * heads, heads, s.Dk, q + row * s.Dk);
      if (prefix.apart) {
        const int64_t Dk = prefix.shape.Dk;
        gather_heads(args.prefix.q, first_query, queries, s.H, kv * heads, heads, Dk,
                     prefix_q + row * Dk);
      }
      products_with_keys({q + row * s.Dk, s.Dk, 1}, queries * heads, s.Dk, args.cache, s.cache_row,
                         kv * s.k_head, args.layout.runs + part.member->first_run,
                         part.member->num_runs, part.own_keys(),
                         score + row * ld + group.prefix_length, ld, kt);
      row += queries * heads;
    }
    prefix.products(prefix_q, rows, prefix.shape.Dk, kv, false, score, ld, kt);
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

  // prefix_out is `out`, and own keys go on with its chain, unless the prefix stands apart.
  void values(int64_t kv, const float* p, const float* inverse, float* out,
              float* prefix_out) const {
    const AttentionShape& s = args.shape;
    memset(out, 0, static_cast<size_t>(rows * s.Dv) * 4);
    if (prefix.apart) memset(prefix_out, 0, static_cast<size_t>(rows * prefix.shape.Dv) * 4);
    prefix.add_weighted(p, ld, rows, prefix.shape.Dv, kv, true, prefix_out);
    int64_t row = 0;
    for (int64_t m = task.member_begin; m < task.member_end; ++m) {
      const Part part = part_of(args.layout, task, m);
      add_own_values(kv, part, p + row * ld + group.prefix_length, out + row * s.Dv);
      for (int64_t i = part.query_begin; i < part.query_end; ++i, row += heads) {
        const int64_t at = (part.member->first_query + i) * s.H + kv * heads;
        write_rows(out + row * s.Dv, inverse + row, s.Dv, args.round_bf16, args.out + at * s.Dv);
        if (!prefix.apart) continue;
        const int64_t Dv = prefix.shape.Dv;
        write_rows(prefix_out + row * Dv, inverse + row, Dv, false, args.prefix.out + at * Dv);
      }
    }
  }

  // First the keys that all queries of the part see, then for each what it sees beyond.
  void add_own_values(int64_t kv, const Part& part, const float* p, float* out) const {
    const AttentionShape& s = args.shape;
    const int64_t column = s.v_offset + kv * s.v_head;
    const KeyRun* runs = args.layout.runs + part.member->first_run;
    const int64_t num_runs = part.member->num_runs;
    const int64_t queries = part.query_end - part.query_begin;
    const int64_t common = part.member->own_before + part.query_begin + 1;
    weighted_rows({p, ld, 1}, queries * heads, args.cache, s.cache_row, column, s.Dv, runs,
                  num_runs, 0, common, out, s.Dv);
    for (int64_t i = 1; i < queries; ++i) {
      weighted_rows({p + i * heads * ld, ld, 1}, heads, args.cache, s.cache_row, column, s.Dv, runs,
                    num_runs, common, common + i, out + i * heads * s.Dv, s.Dv);
    }
  }

  // The heads of one query, each times its factor.
  void write_rows(const float* from, const float* factors, int64_t Dv, bool round,
                  float* to) const {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t d = 0; d < Dv; d += 16) {
        const F16 value = mul(load(from + h * Dv + d, Dv - d), set1(factors[h]));
        store(to + h * Dv + d, round ? round_bf16(value) : value, Dv - d);
      }
    }
  }
};

}  // namespace

void attention(const Context& context, const AttentionArgs& args) {
  const TaskList list(args.layout, args.shape);
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
  PrefixKeys prefix;
  int64_t query_begin, query_end;
  float* dprefix;  // [prefix_length, cache_row of the prefix], this member's share
  int64_t heads, rows, own, keys, ld;

  BackwardBlock(const AttentionBackwardArgs& a, const AttentionGroup& g, const AttentionMember& m,
                int64_t begin, int64_t end, float* share)
      : args(a),
        group(g),
        member(m),
        prefix(a, g),
        query_begin(begin),
        query_end(end),
        dprefix(share),
        heads(a.shape.H / a.shape.Hkv),
        rows((end - begin) * heads),
        own(m.own_before + end),
        keys(g.prefix_length + own),
        ld((keys + 15) / 16 * 16) {}

  // What one side, the own keys or a prefix apart from them, multiplies its keys with.
  struct Side {
    Side(int64_t n, const AttentionShape& s) : q(n * s.Dk), dout(n * s.Dv), dq(n * s.Dk) {}
    Scratch q, dout, dq;
  };

  void run() const {
    const AttentionShape& s = args.shape;
    const Side own_side(rows, s);
    const Side apart_side(prefix.apart ? rows : 0, prefix.shape);
    const Side& prefix_side = prefix.apart ? apart_side : own_side;
    const Scratch p(rows * ld);
    const Scratch ds(rows * ld);
    const int64_t widest = larger(larger(s.Dk, s.Dv), larger(prefix.shape.Dk, prefix.shape.Dv));
    const Scratch kt(widest * kKeyTile);
    for (int64_t kv = 0; kv < s.Hkv; ++kv) {
      gather(kv, args.q, args.dout, s, own_side);
      if (prefix.apart)
        gather(kv, args.prefix.q, args.prefix_gradients.dout, prefix.shape, apart_side);
      products(kv, own_side.q.data, prefix_side.q.data, false, p.data, kt.data);
      products(kv, own_side.dout.data, prefix_side.dout.data, true, ds.data, kt.data);
      probabilities(kv, own_side.dout.data, prefix_side.dout.data, p.data, ds.data);
      query_gradients(kv, ds.data, own_side.dq.data, prefix_side.dq.data);
      key_gradients(ds.data, kv, false, own_side.q.data, prefix_side.q.data);
      key_gradients(p.data, kv, true, own_side.dout.data, prefix_side.dout.data);
    }
  }

  void gather(int64_t kv, const float* q, const float* dout, const AttentionShape& s,
              const Side& side) const {
    const int64_t first = member.first_query + query_begin;
    const int64_t queries = query_end - query_begin;
    gather_heads(q, first, queries, s.H, kv * heads, heads, s.Dk, side.q.data);
    gather_heads(dout, first, queries, s.H, kv * heads, heads, s.Dv, side.dout.data);
  }

  // With the keys, or with the values.
  void products(int64_t kv, const float* x, const float* prefix_x, bool values, float* out,
                float* kt) const {
    const AttentionShape& s = args.shape;
    const int64_t D = values ? s.Dv : s.Dk;
    const int64_t column = values ? s.v_offset + kv * s.v_head : kv * s.k_head;
    prefix.products(prefix_x, rows, values ? prefix.shape.Dv : prefix.shape.Dk, kv, values, out, ld,
                    kt);
    products_with_keys({x, D, 1}, rows, D, args.cache, s.cache_row, column,
                       args.layout.runs + member.first_run, member.num_runs, own,
                       out + group.prefix_length, ld, kt);
  }

  // sum over all keys of p dP, which is dout . out.
  float inner_product(int64_t row, int64_t at, const float* dout, const float* prefix_dout) const {
    const int64_t Dv = args.shape.Dv;
    const float inner = dot(dout + row * Dv, args.out + at * Dv, Dv);
    if (!prefix.apart) return inner;
    const int64_t width = prefix.shape.Dv;
    return dot(prefix_dout + row * width, args.prefix_gradients.out + at * width, width) + inner;
  }

  // p: scores -> probabilities; ds: dP -> dScore. Keys a query does not see get zeros.
  void probabilities(int64_t kv, const float* dout, const float* prefix_dout, float* p,
                     float* ds) const {
    const AttentionShape& s = args.shape;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t query = query_begin + row / heads;
      const int64_t n = group.prefix_length + member.own_before + query + 1;
      const int64_t at = (member.first_query + query) * s.H + kv * heads + row % heads;
      const F16 inner = set1(inner_product(row, at, dout, prefix_dout));
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

  void query_gradients(int64_t kv, const float* ds, float* dq, float* prefix_dq) const {
    const AttentionShape& s = args.shape;
    memset(dq, 0, static_cast<size_t>(rows * s.Dk) * 4);
    if (prefix.apart) memset(prefix_dq, 0, static_cast<size_t>(rows * prefix.shape.Dk) * 4);
    prefix.add_weighted(ds, ld, rows, prefix.shape.Dk, kv, false, prefix_dq);
    weighted_rows({ds + group.prefix_length, ld, 1}, rows, args.cache, s.cache_row, kv * s.k_head,
                  s.Dk, args.layout.runs + member.first_run, member.num_runs, 0, own, dq, s.Dk);
    scatter_heads(kv, dq, s, args.dq);
    if (prefix.apart) scatter_heads(kv, prefix_dq, prefix.shape, args.prefix_gradients.dq);
  }

  void scatter_heads(int64_t kv, const float* dq, const AttentionShape& s, float* to) const {
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t query = member.first_query + query_begin + row / heads;
      memcpy(to + (query * s.H + kv * heads + row % heads) * s.Dk, dq + row * s.Dk,
             static_cast<size_t>(s.Dk) * 4);
    }
  }

  // K (or V) of key j += chain over rows of w[row][j] * x[row].
  void key_gradients(const float* w, int64_t kv, bool values, const float* x,
                     const float* prefix_x) const {
    if (group.prefix_length > 0) {
      const int64_t D = values ? prefix.shape.Dv : prefix.shape.Dk;
      const int64_t split = prefix.split;
      for (int64_t i = 0; i < split; ++i) {
        const int64_t column = values ? prefix.v_column(kv, i) : prefix.k_column(kv, i);
        block_product({w + i * ld, 1, split * ld}, group.prefix_length, prefix_x + i * D, split * D,
                      rows / split, D, dprefix + column, prefix.shape.cache_row, true);
      }
    }
    const AttentionShape& s = args.shape;
    const int64_t D = values ? s.Dv : s.Dk;
    const int64_t column = values ? s.v_offset + kv * s.v_head : kv * s.k_head;
    int64_t key = 0;
    for (int64_t i = 0; i < member.num_runs && key < own; ++i) {
      const KeyRun& run_of_keys = args.layout.runs[member.first_run + i];
      const int64_t count = smaller(run_of_keys.count, own - key);
      block_product({w + group.prefix_length + key, 1, ld}, count, x, D, rows, D,
                    args.dcache + run_of_keys.row * s.cache_row + column, s.cache_row, true);
      key += count;
    }
  }
};

// Where each member's share of its group's prefix gradient stands, while a wave of members works:
// consecutive ones, so many that their shares together stay small and every thread has some.
struct PrefixShares {
  static constexpr int64_t kFloats = 1 << 20;  // of a wave, unless it would have too few members

  PrefixShares(const AttentionLayout& layout, int64_t cache_row, int64_t fewest_members)
      : waves(new_integers(layout.num_members)),
        offsets(new_integers(layout.num_members)),
        groups(new_integers(layout.num_members)) {
    for (int64_t g = 0; g < layout.num_groups; ++g) {
      const AttentionGroup& group = layout.groups[g];
      for (int64_t m = group.first_member; m < group.first_member + group.num_members; ++m)
        groups[m] = g;
    }
    int64_t wave = 0;
    int64_t floats = 0;
    int64_t most = 1;
    for (int64_t m = 0; m < layout.num_members; ++m) {
      const int64_t share = layout.groups[groups[m]].prefix_length * cache_row;
      if (m - wave >= fewest_members && floats + share > kFloats) {
        wave = m;
        floats = 0;
      }
      waves[m] = wave;
      offsets[m] = floats;
      floats += share;
      most = larger(most, floats);
    }
    data = static_cast<float*>(__builtin_malloc(static_cast<size_t>(most) * sizeof(float)));
  }
  ~PrefixShares() {
    __builtin_free(data);
    __builtin_free(waves);
    __builtin_free(offsets);
    __builtin_free(groups);
  }
  PrefixShares(const PrefixShares&) = delete;
  PrefixShares& operator=(const PrefixShares&) = delete;

  static int64_t* new_integers(int64_t count) {
    return static_cast<int64_t*>(
        __builtin_malloc(static_cast<size_t>(count + 1) * sizeof(int64_t)));
  }

  int64_t* waves;    // [members] the first member of the wave
  int64_t* offsets;  // [members] into data
  int64_t* groups;   // [members]
  float* data;
};

// Adds the shares of members [begin, end), as far as they are of the group, to keys [key_begin,
// key_end) of its prefix, in member order.
void add_prefix_shares(const AttentionBackwardArgs& args, const AttentionGroup& group,
                       const PrefixShares& shares, int64_t begin, int64_t end, int64_t key_begin,
                       int64_t key_end) {
  const PrefixKeys prefix(args, group);
  const int64_t width = prefix.shape.cache_row;
  float* dcache = prefix.apart ? args.prefix_gradients.dcache : args.dcache;
  begin = larger(begin, group.first_member);
  end = smaller(end, group.first_member + group.num_members);
  int64_t first_key = 0;
  for (int64_t i = 0; i < group.num_runs && begin < end; first_key += prefix.runs[i++].count) {
    const int64_t stop = smaller(key_end, first_key + prefix.runs[i].count);
    for (int64_t key = larger(key_begin, first_key); key < stop; ++key) {
      float* row = dcache + (prefix.runs[i].row + key - first_key) * width;
      for (int64_t m = begin; m < end; ++m) {
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
  const AttentionShape& shape = args.prefix.cache != nullptr ? args.prefix.shape : args.shape;
  const PrefixShares shares(layout, shape.cache_row, 4 * int64_t{context.pool->num_threads()});
  const int64_t block = query_block(args.shape);
  constexpr int64_t kParts = 8;  // of a prefix, to be added by any thread
  for (int64_t first = 0, last = 0; first < layout.num_members; first = last) {
    while (last < layout.num_members && shares.waves[last] == first) ++last;
    const auto run = [&](int64_t begin, int64_t end) {
      for (int64_t m = first + begin; m < first + end; ++m) {
        const AttentionMember& member = layout.members[m];
        const AttentionGroup& group = layout.groups[shares.groups[m]];
        float* share = shares.data + shares.offsets[m];
        memset(share, 0, static_cast<size_t>(group.prefix_length * shape.cache_row) * 4);
        for (int64_t q = 0; q < member.num_queries; q += block) {
          BackwardBlock(args, group, member, q, smaller(member.num_queries, q + block), share)
              .run();
        }
      }
    };
    context.pool->parallel_for(last - first, 1, run);
    const auto reduce = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const AttentionGroup& group = layout.groups[i / kParts];
        const int64_t part = i % kParts;
        add_prefix_shares(args, group, shares, first, last, group.prefix_length * part / kParts,
                          group.prefix_length * (part + 1) / kParts);
      }
    };
    context.pool->parallel_for(layout.num_groups * kParts, 1, reduce);
  }
}

}  // namespace ZEROTH_ISA
}  // namespace zeroth
