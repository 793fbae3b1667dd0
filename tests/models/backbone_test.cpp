#include "plsc/models/backbone.h"

#include <catch2/catch.hpp>

#include "plsc/backend/cpu.h"
#include "plsc/core/error.h"

namespace plsc::models {

namespace {

std::unique_ptr<Backbone> build(const std::string& network, std::int64_t size, backend::Backend& backend,
                                std::int64_t embedding = 512) {
  config::ModelConfig config;
  config.network = network;
  config.embedding = embedding;
  return make_backbone(config, size, size, backend, 1);
}

}  // namespace

TEST_CASE("IResNets have the published size and cost at 112x112", "[models]") {
  const auto backend = backend::make_cpu_backend({});
  struct Published {
    const char* name;
    double millions;  // parameters, arcface_torch's models as PyTorch counts them
    double gmacs;     // insightface's model zoo and reference tables
  };
  const Published published = GENERATE(Published{"iresnet18", 24.03, 2.61}, Published{"iresnet34", 34.14, 4.47},
                                       Published{"iresnet50", 43.59, 6.31}, Published{"iresnet100", 65.16, 12.09});

  const auto backbone = build(published.name, 112, *backend);

  INFO(published.name);
  CHECK(static_cast<double>(backbone->parameters().parameter_count()) / 1e6 ==
        Approx(published.millions).epsilon(0.005));
  CHECK(static_cast<double>(backbone->multiply_accumulates()) / 1e9 == Approx(published.gmacs).epsilon(0.005));
}

TEST_CASE("a network takes any image size", "[models]") {
  const auto backend = backend::make_cpu_backend({});
  nn::ForwardContext context(*backend);
  for (const std::int64_t size : {1, 17, 40}) {
    const auto backbone = build("iresnet_tiny", size, *backend, 24);
    const Tensor images = backend->tensor(Shape{2, 3, size, size});
    backend->fill(images, 0.5F);

    context.begin(nn::Mode::inference, 2, 2);
    const Tensor embeddings = backbone->forward(images, context);

    CHECK(embeddings.shape() == Shape{2, 24});
  }
}

TEST_CASE("starting values depend on the seed and the name only", "[models]") {
  const auto backend = backend::make_cpu_backend({});
  const auto first = build("iresnet_tiny", 32, *backend, 32);
  const auto again = build("iresnet_tiny", 32, *backend, 32);

  const auto a = first->parameters().values().host_span<float>();
  const auto b = again->parameters().values().host_span<float>();

  CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

TEST_CASE("unknown networks and impossible shapes are named", "[models]") {
  const auto backend = backend::make_cpu_backend({});

  CHECK_THROWS_WITH(build("iresnet51", 112, *backend),
                    Catch::Contains("iresnet51") && Catch::Contains("Choose one of: iresnet18"));
  CHECK_THROWS_WITH(build("iresnet50", 112, *backend, 0), Catch::Contains("embedding 0"));
  CHECK_THROWS_WITH(build("iresnet50", 0, *backend), Catch::Contains("images 0x0"));
}

}  // namespace plsc::models
