// Layers composed as networks compose them: gradients against central differences of the same network, the tape, and
// synchronised BatchNorm across ranks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "plsc/backend/cpu.h"
#include "plsc/core/error.h"
#include "plsc/core/random.h"
#include "plsc/nn/batch_norm.h"
#include "plsc/nn/convolution.h"
#include "plsc/nn/linear.h"
#include "plsc/nn/residual.h"
#include "support/thread_ranks.h"

namespace plsc::nn {

namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kSize = 6;
constexpr std::int64_t kChannels = 20;  // not a multiple of any channel block
constexpr std::int64_t kOutputs = 5;

std::unique_ptr<Sequential> small_network(bool relu_join) {
  auto network = std::make_unique<Sequential>();
  network->add(std::make_unique<Convolution>("stem", backend::ConvolutionSpec{3, kChannels, 3, 1, 1}, 0.3F));
  BatchNormOptions prelu;
  prelu.activation = backend::Activation::prelu;
  prelu.slope_name = "prelu";
  network->add(std::make_unique<BatchNorm>("bn1", kChannels, prelu));
  auto body = std::make_unique<Sequential>();
  body->add(std::make_unique<Convolution>("a", backend::ConvolutionSpec{kChannels, 32, 3, 2, 1}, 0.2F));
  auto shortcut = std::make_unique<Sequential>();
  shortcut->add(std::make_unique<Convolution>("down", backend::ConvolutionSpec{kChannels, 32, 1, 2, 0}, 0.2F));
  BatchNormOptions join;
  join.residual = true;
  join.activation = relu_join ? backend::Activation::relu : backend::Activation::none;
  network->add(
      std::make_unique<Residual>(std::move(body), std::make_unique<BatchNorm>("bn2", 32, join), std::move(shortcut)));
  auto identity_body = std::make_unique<Sequential>();
  identity_body->add(std::make_unique<Convolution>("b", backend::ConvolutionSpec{32, 32, 3, 1, 1}, 0.1F));
  network->add(std::make_unique<Residual>(std::move(identity_body), std::make_unique<BatchNorm>("bn3", 32, join),
                                          std::make_unique<Sequential>()));
  network->add(std::make_unique<Linear>("fc", 32 * 3 * 3, kOutputs));
  BatchNormOptions fixed;
  fixed.learn_scale = false;
  network->add(std::make_unique<BatchNorm>("features", kOutputs, fixed));
  return network;
}

Tensor random_tensor(backend::Backend& backend, const Shape& shape, std::uint64_t id) {
  Tensor tensor = backend.tensor(shape);
  CounterRng rng(3, RandomPurpose::test, id);
  for (float& value : tensor.host_span<float>()) value = static_cast<float>(rng.normal());
  return tensor;
}

struct Setup {
  explicit Setup(bool relu_join)
      : backend(backend::make_cpu_backend({})),
        network(small_network(relu_join)),
        store(parameters(*network), *backend, 9),
        context(*backend) {}

  static ParameterList parameters(Sequential& network) {
    ParameterList list;
    network.collect(list);
    return list;
  }

  /// sum(output * probe) of a training-mode forward.
  double objective(const Tensor& images, const Tensor& probe) {
    context.begin(Mode::training, kBatch, kBatch);
    const Tensor output = network->forward(images, context);
    double sum = 0;
    const auto values = output.host_span<float>();
    const auto weights = probe.host_span<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
      sum += static_cast<double>(values[i]) * static_cast<double>(weights[i]);
    return sum;
  }

  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<Sequential> network;
  ParameterStore store;
  ForwardContext context;
};

}  // namespace

TEST_CASE("gradients of a residual network agree with central differences", "[nn]") {
  const bool relu_join = GENERATE(false, true);
  Setup setup(relu_join);
  const Tensor images = random_tensor(*setup.backend, Shape{kBatch, 3, kSize, kSize}, 1);
  const Tensor probe = random_tensor(*setup.backend, Shape{kBatch, kOutputs}, 2);

  setup.objective(images, probe);
  const Tensor d_images = setup.network->backward(probe, setup.context, InputGradient::needed);

  CHECK(setup.context.empty());
  const auto check = [&](float& value, float gradient, const std::string& name) {
    const float kept = value;
    constexpr float kStep = 2e-3F;
    value = kept + kStep;
    setup.store.touch();
    const double above = setup.objective(images, probe);
    value = kept - kStep;
    setup.store.touch();
    const double below = setup.objective(images, probe);
    value = kept;
    const double expected = (above - below) / (2 * static_cast<double>(kStep));
    INFO(name << ": backward " << gradient << ", difference " << expected);
    CHECK(std::abs(static_cast<double>(gradient) - expected) < 0.04 + 0.03 * std::abs(expected));
  };
  for (Parameter* parameter : setup.store.parameters()) {
    if (!parameter->trainable) continue;
    auto values = parameter->value.host_span<float>();
    const auto gradients = parameter->gradient.host_span<float>();
    const std::vector<float> kept(gradients.begin(), gradients.end());
    for (std::size_t i = 0; i < values.size(); i += std::max<std::size_t>(1, values.size() / 3)) {
      check(values[i], kept[i], parameter->name);
    }
  }
  auto pixels = images.host_span<float>();
  for (std::size_t i = 0; i < pixels.size(); i += 97) check(pixels[i], d_images.host_span<float>()[i], "image");
}

TEST_CASE("accumulating two passes doubles every gradient", "[nn]") {
  Setup setup(true);
  const Tensor images = random_tensor(*setup.backend, Shape{kBatch, 3, kSize, kSize}, 1);
  const Tensor probe = random_tensor(*setup.backend, Shape{kBatch, kOutputs}, 2);
  const auto pass = [&](bool accumulate) {
    setup.context.accumulate = accumulate;
    setup.objective(images, probe);
    setup.network->backward(probe, setup.context, InputGradient::skipped);
  };
  pass(false);
  const auto gradients = setup.store.gradients().host_span<float>();
  const std::vector<float> once(gradients.begin(), gradients.end());

  pass(true);

  for (std::size_t i = 0; i < once.size(); ++i) REQUIRE(gradients[i] == Approx(2 * once[i]).epsilon(1e-5).margin(1e-6));
}

TEST_CASE("every parameter is announced once, after those behind it", "[nn]") {
  Setup setup(false);
  std::vector<std::string> announced;
  setup.context.gradient_ready = [&](const Parameter& parameter) { announced.push_back(parameter.name); };

  setup.objective(random_tensor(*setup.backend, Shape{kBatch, 3, kSize, kSize}, 1),
                  random_tensor(*setup.backend, Shape{kBatch, kOutputs}, 2));
  setup.network->backward(random_tensor(*setup.backend, Shape{kBatch, kOutputs}, 2), setup.context,
                          InputGradient::skipped);

  std::vector<std::string> trainable;
  for (const Parameter* parameter : setup.store.parameters()) {
    if (parameter->trainable) trainable.push_back(parameter->name);
  }
  CHECK(announced.size() == trainable.size());
  CHECK(announced.back() == "stem.weight");
  std::sort(announced.begin(), announced.end());
  std::sort(trainable.begin(), trainable.end());
  CHECK(announced == trainable);
}

TEST_CASE("synchronised BatchNorm over ranks equals one rank with the whole batch", "[nn]") {
  constexpr std::int64_t kGlobal = 6;
  BatchNormOptions options;
  options.activation = backend::Activation::prelu;
  options.slope_name = "slope";
  const auto run = [&](comm::Communicator* communicator, std::int64_t begin, std::int64_t valid, std::int64_t padded) {
    const auto backend = backend::make_cpu_backend({});
    BatchNorm layer("bn", kChannels, options);
    ParameterList list;
    layer.collect(list);
    ParameterStore store(list, *backend, 1);
    ForwardContext context(*backend);
    context.statistics_communicator = communicator;
    const Tensor all = random_tensor(*backend, Shape{kGlobal, kChannels}, 5);
    const Tensor d_all = random_tensor(*backend, Shape{kGlobal, kChannels}, 6);
    Tensor input = backend->tensor(Shape{padded, kChannels});
    Tensor d_output = backend->tensor(Shape{padded, kChannels});
    backend->fill(input, 7);  // padding that must not count
    backend->fill(d_output, 0);
    backend->copy(all.view(static_cast<std::size_t>(begin * kChannels), Shape{valid, kChannels}),
                  input.view(0, Shape{valid, kChannels}));
    backend->copy(d_all.view(static_cast<std::size_t>(begin * kChannels), Shape{valid, kChannels}),
                  d_output.view(0, Shape{valid, kChannels}));
    context.begin(Mode::training, valid, kGlobal);
    const Tensor output = layer.forward(input, context);
    const Tensor d_input = layer.backward(d_output, context, InputGradient::needed);
    std::vector<float> values;
    for (const Tensor& tensor : {output, d_input}) {
      const auto span = tensor.host_span<float>().first(static_cast<std::size_t>(valid * kChannels));
      values.insert(values.end(), span.begin(), span.end());
    }
    const auto states = store.states().host_span<float>();
    values.insert(values.end(), states.begin(), states.end());
    return values;
  };
  const std::vector<float> whole = run(nullptr, 0, kGlobal, kGlobal);
  const std::size_t block = static_cast<std::size_t>(kChannels);

  for (const int ranks : {2, 3, 4}) {
    test::run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
      const std::int64_t rank = communicator.rank();
      const std::int64_t share = kGlobal / ranks;
      const std::int64_t extra = kGlobal % ranks;
      const std::int64_t valid = share + (rank < extra ? 1 : 0);
      const std::int64_t begin = rank * share + std::min(rank, extra);
      const std::vector<float> part = run(&communicator, begin, valid, share + (extra ? 1 : 0));
      const std::size_t n = static_cast<std::size_t>(valid) * block;
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = static_cast<std::size_t>(begin) * block + i;
        if (std::abs(part[i] - whole[at]) > 1e-5F) throw Error(ErrorCode::internal, "outputs differ");
        if (std::abs(part[n + i] - whole[kGlobal * block + at]) > 1e-5F) {
          throw Error(ErrorCode::internal, "input gradients differ");
        }
      }
      for (std::size_t i = 2 * n; i < part.size(); ++i) {
        if (std::abs(part[i] - whole[2 * kGlobal * block + (i - 2 * n)]) > 1e-5F) {
          throw Error(ErrorCode::internal, "running statistics differ");
        }
      }
    });
  }
  SUCCEED();
}

TEST_CASE("inference uses the running statistics and keeps no activations", "[nn]") {
  Setup setup(false);
  const Tensor images = random_tensor(*setup.backend, Shape{kBatch, 3, kSize, kSize}, 1);

  setup.context.begin(Mode::inference, kBatch, kBatch);
  const Tensor together = setup.network->forward(images, setup.context);
  setup.context.begin(Mode::inference, 1, 1);
  const Tensor alone = setup.network->forward(images.view(0, Shape{1, 3, kSize, kSize}), setup.context);

  CHECK(setup.context.empty());
  for (std::size_t i = 0; i < static_cast<std::size_t>(kOutputs); ++i) {
    CHECK(alone.host_span<float>()[i] == Approx(together.host_span<float>()[i]).margin(1e-5));
  }
}

TEST_CASE("shapes that do not fit name the layer", "[nn]") {
  Convolution convolution("conv", backend::ConvolutionSpec{16, 16, 3, 1, 0}, 0.1F);
  Linear linear("fc", 10, 4);
  BatchNorm norm("bn", 8, {});

  CHECK_THROWS_WITH(convolution.output_shape(Shape{1, 3, 8, 8}),
                    Catch::Contains("conv") && Catch::Contains("16 input"));
  CHECK_THROWS_WITH(convolution.output_shape(Shape{1, 16, 2, 8}), Catch::Contains("only 2x8"));
  CHECK_THROWS_WITH(linear.output_shape(Shape{2, 3, 2, 2}), Catch::Contains("fc expects 10 features"));
  CHECK_THROWS_WITH(norm.output_shape(Shape{2, 9}), Catch::Contains("bn expects 8 channels"));
  auto body = std::make_unique<Sequential>();
  body->add(std::make_unique<Convolution>("a", backend::ConvolutionSpec{16, 32, 3, 2, 1}, 0.1F));
  const Residual block(std::move(body), std::make_unique<BatchNorm>("b", 32, BatchNormOptions{}),
                       std::make_unique<Sequential>());
  CHECK_THROWS_WITH(block.output_shape(Shape{1, 16, 8, 8}), Catch::Contains("residual block adds"));
  ForwardContext context(*backend::make_cpu_backend({}));
  CHECK_THROWS_WITH(context.take(), Catch::Contains("without a matching forward"));
}

}  // namespace plsc::nn
