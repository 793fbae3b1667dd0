#include "plsc/train/gradient_reducer.h"

#include <catch2/catch.hpp>

#include "plsc/backend/cpu.h"
#include "plsc/core/error.h"
#include "support/thread_ranks.h"

namespace plsc::train {

namespace {

struct Parameters {
  explicit Parameters(backend::Backend& backend) {
    for (int i = 0; i < 5; ++i) {
      nn::Parameter parameter;
      parameter.name = "p" + std::to_string(i);
      parameter.shape = Shape{10 + i};
      parameter.trainable = i != 2;
      owned.push_back(parameter);
    }
    buffer.name = "running";
    buffer.shape = Shape{3};
    nn::ParameterList list;
    for (nn::Parameter& parameter : owned) list.parameters.push_back(&parameter);
    list.buffers.push_back(&buffer);
    store = std::make_unique<nn::ParameterStore>(list, backend, 1);
  }

  std::vector<nn::Parameter> owned;
  nn::StateBuffer buffer;
  std::unique_ptr<nn::ParameterStore> store;
};

void expect(bool condition, const char* what) {
  if (!condition) throw Error(ErrorCode::internal, what);
}

}  // namespace

TEST_CASE("gradients are summed and states averaged over ranks", "[reducer]") {
  const std::int64_t bucket_bytes = GENERATE(1, 100, 1 << 20);
  const int ranks = GENERATE(1, 2, 3, 4);

  test::run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
    const auto backend = backend::make_cpu_backend({});
    Parameters parameters(*backend);
    GradientReducer reducer(*parameters.store, communicator, bucket_bytes);
    expect(reducer.bucket_count() == (bucket_bytes == 1 ? 4U : bucket_bytes == 100 ? 4U : 1U), "bucket count");
    backend->fill(parameters.store->gradients(), static_cast<float>(communicator.rank() + 1));
    backend->fill(parameters.store->states(), static_cast<float>(communicator.rank()));

    reducer.begin(true);
    for (auto it = parameters.owned.rbegin(); it != parameters.owned.rend(); ++it) {
      if (it->trainable) reducer.ready(*it);
    }
    reducer.finish();

    const auto sum = static_cast<float>(ranks * (ranks + 1) / 2);
    for (const nn::Parameter& parameter : parameters.owned) {
      if (!parameter.trainable) continue;
      for (const float value : parameter.gradient.host_span<float>()) expect(value == sum, "gradient sum");
    }
    const float mean = ranks == 1 ? 0.0F : static_cast<float>(ranks - 1) / 2;
    for (const float value : parameters.store->states().host_span<float>()) expect(value == mean, "state mean");
  });
  SUCCEED();
}

TEST_CASE("a parameter that backward forgot is an error", "[reducer]") {
  CHECK_THROWS_WITH(test::run_thread_ranks(2,
                                           [&](comm::Communicator& communicator) {
                                             const auto backend = backend::make_cpu_backend({});
                                             Parameters parameters(*backend);
                                             GradientReducer reducer(*parameters.store, communicator, 1 << 20);
                                             reducer.begin(true);
                                             reducer.ready(parameters.owned[4]);
                                             reducer.finish();
                                           }),
                    Catch::Contains("never completed"));
}

}  // namespace plsc::train
