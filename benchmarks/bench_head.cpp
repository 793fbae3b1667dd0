// One step of the classifier alone: normalised rows, ArcFace, softmax, gradients and SGD with momentum, random
// embeddings. Reports the best and median time, the rate of its matrix products and the memory beside the rows.
// Its peer is benchmarks/pytorch_head.py.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "plsc/backend/cpu.h"
#include "plsc/comm/self.h"
#include "plsc/core/random.h"
#include "plsc/head/classifier.h"

namespace {

struct Setup {
  std::int64_t classes = 100000;
  std::int64_t embedding = 512;
  std::int64_t batch = 256;
  int threads = 2;
  int steps = 10;
  std::int64_t tile = 0;
  std::int64_t workspace = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const Setup& setup) {
  const auto backend = plsc::backend::make_cpu_backend({setup.threads, {}});
  const auto world = plsc::comm::make_self_communicator();
  plsc::head::ClassifierOptions options;
  options.head.margin = 0.5F;
  options.head.tile = setup.tile;
  options.head.workspace_bytes = setup.workspace;
  options.num_classes = setup.classes;
  options.embedding = setup.embedding;
  options.batch = setup.batch;
  options.weight_decay = 5e-4F;
  const auto head = plsc::head::make_sharded_classifier(options, *backend, *world);

  plsc::Tensor embeddings = backend->tensor({setup.batch, setup.embedding});
  plsc::CounterRng rng(1, plsc::RandomPurpose::test, 0);
  for (float& value : embeddings.host_span<float>()) value = static_cast<float>(rng.normal());
  std::vector<std::int64_t> labels(static_cast<std::size_t>(setup.batch));
  for (std::int64_t& label : labels)
    label = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(setup.classes)));
  const plsc::Tensor state = plsc::backend::make_step_state(backend->memory());
  plsc::backend::StepState values;
  values.head_learning_rate = 0.1F;
  std::memcpy(state.raw(), &values, sizeof(values));

  std::vector<double> seconds;
  std::vector<double> forward;
  std::vector<double> backward;
  plsc::head::HeadResult result;
  for (int step = 0; step <= setup.steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    result = head->forward_backward(embeddings, labels, plsc::head::RowUpdate::fused, state);
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (step == 0) continue;  // touches memory for the first time
    seconds.push_back(taken);
    forward.push_back(result.times.forward);
    backward.push_back(result.times.backward);
  }
  const double best = *std::min_element(seconds.begin(), seconds.end());
  const double products = 6.0 * static_cast<double>(setup.classes * setup.embedding * setup.batch);
  fmt::print("{}\n", backend->description());
  fmt::print(
      "classes {} x {}, batch {}, threads {}: best {:.1f} ms, median {:.1f} ms per step, {:.0f} GFLOP/s at best\n",
      setup.classes, setup.embedding, setup.batch, setup.threads, best * 1e3, median(seconds) * 1e3,
      products / best * 1e-9);
  fmt::print("forward {:.1f} ms, backward with update {:.1f} ms (medians); loss {:.4f}\n", median(forward) * 1e3,
             median(backward) * 1e3, result.loss);
  fmt::print("workspace {:.1f} MB beside {:.1f} MB of rows and momentum\n",
             static_cast<double>(head->peak_workspace_bytes()) * 1e-6,
             static_cast<double>(8 * setup.classes * setup.embedding) * 1e-6);
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  CLI::App app{"One step of the margin softmax classifier"};
  app.add_option("--classes", setup.classes)->capture_default_str();
  app.add_option("--embedding", setup.embedding)->capture_default_str();
  app.add_option("--batch", setup.batch)->capture_default_str();
  app.add_option("--threads", setup.threads)->capture_default_str();
  app.add_option("--steps", setup.steps)->capture_default_str();
  app.add_option("--tile", setup.tile, "rows per tile; 0: chosen")->capture_default_str();
  app.add_option("--workspace", setup.workspace, "bytes of logits kept; 0: 256 MiB")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(setup);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
