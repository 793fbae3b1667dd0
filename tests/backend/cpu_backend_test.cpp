// The backend as a whole: memory, description, several backends at once.

#include "plsc/backend/cpu.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <thread>

#include "backend/tensors.h"
#include "plsc/core/error.h"
#include "support/reference_ops.h"

namespace plsc::test {

namespace {

using backend::Backend;

/// A small training step: convolution, BatchNorm, linear layer, forward and backward, SGD.
class Step {
 public:
  explicit Step(Backend& cpu)
      : cpu_(cpu),
        convolution_(cpu.make_convolution({16, 32, 3, 1, 1}, kInput)),
        norm_(cpu.make_batch_norm({backend::Activation::prelu, false, 1e-5F}, kOutput)),
        linear_(cpu.make_linear({32 * 64, 10, true}, kOutput, Layout::blocked)),
        weights_(make(cpu, {32, 16, 3, 3}, random_values(32 * 16 * 9, 1))),
        d_weights_(cpu.tensor({32, 16, 3, 3})),
        momentum_(make(cpu, {32 * 16 * 9}, Values(32 * 16 * 9, 0))),
        channels_(make(cpu, {32}, Values(32, 0.5))),
        mean_(make(cpu, {32}, Values(32, 0))),
        var_(make(cpu, {32}, Values(32, 1))),
        head_(make(cpu, {10, 32 * 64}, random_values(10 * 32 * 64, 2))),
        bias_(make(cpu, {10}, Values(10, 0))),
        input_(make(cpu, kInput, random_values(2 * 16 * 64, 3), Layout::blocked)),
        state_(backend::make_step_state(cpu.memory())) {
    *reinterpret_cast<backend::StepState*>(state_.raw()) = {0.01F, 0, 1, 0, 0};
  }

  /// The embeddings, after which one update was made.
  Values run() {
    const Tensor a = cpu_.activation(kOutput, Layout::blocked);
    const Tensor b = cpu_.activation(kOutput, Layout::blocked);
    const Tensor folded = cpu_.tensor({4, 32});
    const Tensor moments = cpu_.tensor({3, 32}, DType::f64);
    const Tensor y = cpu_.tensor({2, 10});
    convolution_->forward(input_, {weights_, version_}, a);
    norm_->local_moments(a, 2, moments);
    norm_->fold(moments, 1, channels_, channels_, mean_, var_, 0.1F, folded);
    norm_->apply(a, {}, folded, channels_, b);
    linear_->forward(b, {head_, 0}, &bias_, y);

    const Tensor d_b = cpu_.activation(kOutput, Layout::blocked);
    const Tensor d_input = cpu_.activation(kInput, Layout::blocked);
    const Tensor d_head = cpu_.tensor({10, 32 * 64});
    linear_->backward_weights(b, y, d_head, &bias_, false);
    linear_->backward_data(y, {head_, 0}, d_b);
    norm_->backward_sums(a, {}, d_b, folded, channels_, 2, moments);
    norm_->backward_apply(a, {}, d_b, folded, channels_, moments, 1, 128, 2, d_b, {});
    convolution_->backward_weights(input_, d_b, d_weights_, false);
    convolution_->backward_data(d_b, {weights_, version_}, d_input);
    const backend::ParameterSegment all{0, 32 * 16 * 9, 1e-4F};
    cpu_.sgd_update(weights_, d_weights_, momentum_, {&all, 1}, {}, state_);
    ++version_;
    const Tensor squares = cpu_.tensor({1}, DType::f64);
    cpu_.sum_of_squares(d_weights_, squares);
    return read(y);
  }

 private:
  static inline const Shape kInput{2, 16, 8, 8};
  static inline const Shape kOutput{2, 32, 8, 8};

  Backend& cpu_;
  std::unique_ptr<backend::Convolution> convolution_;
  std::unique_ptr<backend::BatchNorm> norm_;
  std::unique_ptr<backend::Linear> linear_;
  Tensor weights_, d_weights_, momentum_, channels_, mean_, var_, head_, bias_, input_, state_;
  std::uint64_t version_ = 0;
};

}  // namespace

TEST_CASE("a steady state asks the system for no memory", "[backend][memory]") {
  const auto cpu = backend::make_cpu_backend({1});
  {
    Step step(*cpu);
    step.run();
    const auto after_first = cpu->memory_statistics();
    step.run();
    const auto after_second = cpu->memory_statistics();  // the first peak came before the last pass was planned
    for (int round = 0; round < 3; ++round) step.run();
    const auto after = cpu->memory_statistics();

    CHECK(after.system_allocations == after_first.system_allocations);
    CHECK(after.reserved_bytes == after_first.reserved_bytes);
    CHECK(after.peak_bytes == after_second.peak_bytes);
    CHECK(after.live_bytes == after_first.live_bytes);
    CHECK(after.live_bytes > 0);
  }
}

TEST_CASE("the pool hands the same sizes out again", "[backend][memory]") {
  const auto cpu = backend::make_cpu_backend({1});
  const auto round = [&] {
    std::vector<Tensor> tensors;
    for (const std::int64_t size : {1, 0, 100, 70000, 3000000, 100, 5000000}) tensors.push_back(cpu->tensor({size}));
    for (const Tensor& tensor : tensors) {
      const auto address = reinterpret_cast<std::uintptr_t>(tensor.raw());
      CHECK(address % 64 == 0);
      if (tensor.bytes() >= (2U << 20)) CHECK(address % (2U << 20) == 0);
      std::memset(tensor.raw(), 1, tensor.bytes());
    }
  };

  round();
  const auto first = cpu->memory_statistics();
  for (int i = 0; i < 2; ++i) round();
  const auto later = cpu->memory_statistics();

  CHECK(first.system_allocations == 7);
  CHECK(first.live_bytes == 0);
  CHECK(first.peak_bytes == first.reserved_bytes);
  CHECK(first.reserved_bytes > 4 * 8070000);
  CHECK(later.system_allocations == first.system_allocations);
  CHECK(later.reserved_bytes == first.reserved_bytes);
}

TEST_CASE("the pool serves several threads", "[backend][memory]") {
  const auto cpu = backend::make_cpu_backend({1});
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      for (std::int64_t round = 0; round < 200; ++round) {
        const Tensor tensor = cpu->tensor({1 + (round * 37) % 500});
        cpu->memory();
        std::memset(tensor.raw(), id, tensor.bytes());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  CHECK(cpu->memory_statistics().live_bytes == 0);
}

TEST_CASE("memory that the system refuses is a clear error", "[backend][memory]") {
  const auto cpu = backend::make_cpu_backend({1});
  const Tensor kept = cpu->tensor({100});

  CHECK_THROWS_WITH(cpu->tensor({std::int64_t{1} << 50}),
                    Catch::Contains("out of memory: 4503599627370496 bytes") && Catch::Contains("smaller batch"));
  CHECK(cpu->tensor({100}).defined());
}

TEST_CASE("a backend describes itself", "[backend]") {
  const auto one = backend::make_cpu_backend({1});
  const auto two = backend::make_cpu_backend({2});

  CHECK_THAT(one->description(),
             Catch::StartsWith("cpu: oneDNN ") && Catch::Contains(", Highway ") && Catch::EndsWith(", 1 thread"));
  CHECK_THAT(two->description(), Catch::EndsWith(", 2 threads"));
  CHECK(two->threads() == 2);
  CHECK((one->channel_block() == 8 || one->channel_block() == 16));
  one->synchronize();
}

TEST_CASE("a backend needs a thread", "[backend]") {
  CHECK_THROWS_WITH(backend::make_cpu_backend({0}), Catch::Contains("0 threads"));
}

TEST_CASE("backends in several threads do not disturb each other", "[backend][threads]") {
  const int team = GENERATE(1, kTeam);
  const auto embeddings = [&] {
    const auto cpu = backend::make_cpu_backend({team, backend::ConvolutionChoice::direct});
    Step step(*cpu);
    step.run();
    step.run();
    return step.run();
  };
  const Values expected = embeddings();

  std::vector<Values> results(3);
  std::vector<std::thread> ranks;
  for (Values& result : results) ranks.emplace_back([&] { result = embeddings(); });
  for (std::thread& rank : ranks) rank.join();

  for (const Values& result : results) CHECK(error_of(result, expected) < tolerance::kConvolutionDirect);
}

}  // namespace plsc::test
