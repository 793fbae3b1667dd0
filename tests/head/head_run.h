#pragma once
// Runs the sharded classifier on global data over any communicator and puts the ranks' results together again.

#include <cstring>
#include <string>
#include <vector>

#include "plsc/backend/cpu.h"
#include "plsc/comm/communicator.h"
#include "plsc/core/random.h"
#include "plsc/head/classifier.h"
#include "support/tolerance.h"

namespace plsc::test {

struct HeadCase {
  config::HeadConfig head;
  std::int64_t classes = 0;
  std::int64_t columns = 0;
  int threads = 1;
  float rate = 0.1F;
  float momentum = 0.9F;
  bool nesterov = false;
  float weight_decay = 0;
};

/// One call: global samples, cut among ranks by shard_rows and padded with label -1 to equal batches.
struct HeadStep {
  Values x;  ///< [G, D]
  std::vector<std::int64_t> labels;
  head::RowUpdate update = head::RowUpdate::fused;
  bool commit = false;  ///< afterwards
  bool skip = false;    ///< StepState.skip
};

/// Global results, equal on all ranks.
struct HeadOutcome {
  std::vector<head::HeadResult> results;  ///< one per step; correct summed over ranks
  std::vector<Values> d_x;                ///< one per step, [G, D]
  std::vector<head::RowState> state;      ///< [C, columns] on the heap
  std::size_t workspace_bytes = 0;

  Values rows(const std::string& name) const;
};

/// The rows a head of this case begins with.
Values initial_rows(const HeadCase& c);
config::HeadConfig head_config(config::Loss loss, config::MarginGradient gradient = config::MarginGradient::exact);
/// x around some class centres, so that a trained head has something to find; labels in [0, classes).
HeadStep random_step(const HeadCase& c, std::int64_t samples, std::uint64_t seed);
head::ClassifierOptions options_of(const HeadCase& c, std::int64_t batch);
void set_state(const Tensor& state, float rate, bool skip = false);

HeadOutcome run_head(const HeadCase& c, const std::vector<HeadStep>& steps, comm::Communicator& communicator);
/// The same over ranks as threads; the outcome of rank 0, after checking that the others' is equal.
HeadOutcome run_head(const HeadCase& c, const std::vector<HeadStep>& steps, int ranks);

}  // namespace plsc::test
