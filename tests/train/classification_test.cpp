#include "plsc/train/classification.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "plsc/backend/cpu.h"
#include "plsc/comm/self.h"
#include "support/temp_dir.h"
#include "train/training_run.h"

namespace plsc::train {

TEST_CASE("steps in the steady state ask the system for no memory", "[classification]") {
  const test::TempDir folder;
  test::write_training_set(folder / "set", 7, 3);
  const config::Config config = test::small_config(folder / "set", folder / "run");
  const auto communicator = comm::make_self_communicator();
  const auto backend = backend::make_cpu_backend({});
  const auto source = data::open_source(config.data);
  PhaseTimer timer;
  ClassificationMethod method(config, *source, *backend, *communicator, timer);
  method.start(0);
  const auto run_steps = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t step = first; step < last; ++step) method.step(step, 0.1);
  };
  run_steps(0, 2);
  const backend::MemoryStatistics warm = backend->memory_statistics();

  run_steps(2, 8);

  const backend::MemoryStatistics later = backend->memory_statistics();
  CHECK(later.system_allocations == warm.system_allocations);
  CHECK(later.live_bytes == warm.live_bytes);
}

TEST_CASE("all choices are made before the first step, so that ranks share them", "[classification]") {
  const test::TempDir folder;
  test::write_training_set(folder / "set", 7, 3);
  const config::Config config = test::small_config(folder / "set", folder / "run");
  const auto communicator = comm::make_self_communicator();
  const auto backend = backend::make_cpu_backend({1, backend::ConvolutionChoice::automatic});
  const auto source = data::open_source(config.data);
  PhaseTimer timer;
  ClassificationMethod method(config, *source, *backend, *communicator, timer);
  const backend::TunedChoices planned = backend->tuned_choices();
  method.start(0);

  method.step(0, 0.1);
  std::vector<float> embeddings(static_cast<std::size_t>(method.batch() * method.dimension()));
  const Tensor images(heap_memory(), Shape{method.batch(), 3, config.data.height, config.data.width}, DType::u8);
  std::fill_n(images.data<std::uint8_t>(), images.elements(), std::uint8_t{7});
  method.embed(images, embeddings);

  CHECK(backend->tuned_choices() == planned);
}

}  // namespace plsc::train
