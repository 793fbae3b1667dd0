#include "plsc/models/backbone.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

#include "plsc/core/error.h"
#include "plsc/models/iresnet.h"

namespace plsc::models {

namespace {

struct NamedIResNet {
  const char* name;
  IResNetSpec spec;
};

/// Depths as published; iresnet_tiny is ours, for small images and tests.
constexpr std::array<NamedIResNet, 6> kIResNets{{
    {"iresnet18", {{2, 2, 2, 2}}},
    {"iresnet34", {{3, 4, 6, 3}}},
    {"iresnet50", {{3, 4, 14, 3}}},
    {"iresnet100", {{3, 13, 30, 3}}},
    {"iresnet200", {{6, 26, 60, 6}}},
    {"iresnet_tiny", {{1, 1, 1, 1}, {16, 32, 64, 128}}},
}};

nn::ParameterList collect(nn::Sequential& layers) {
  nn::ParameterList list;
  layers.collect(list);
  return list;
}

}  // namespace

Backbone::Backbone(BackboneSpec spec, std::unique_ptr<nn::Sequential> layers, backend::Backend& backend,
                   std::uint64_t seed)
    : spec_(std::move(spec)),
      layers_(std::move(layers)),
      backend_(&backend),
      parameters_(collect(*layers_), backend, seed) {
  const Shape output = layers_->output_shape(input_shape(1));
  if (output != Shape{1, spec_.embedding}) {
    throw Error(ErrorCode::config, fmt::format("network {} yields {} for one image (expected [1, {}]). End it with a "
                                               "layer of model.embedding outputs.",
                                               spec_.network, output.text(), spec_.embedding));
  }
}

void Backbone::plan(std::int64_t batch, nn::Mode mode) { layers_->plan(input_shape(batch), mode, *backend_); }

Tensor Backbone::forward(const Tensor& images, nn::ForwardContext& context) {
  return layers_->forward(images, context);
}

void Backbone::backward(const Tensor& d_embeddings, nn::ForwardContext& context) {
  layers_->backward(d_embeddings, context, nn::InputGradient::skipped);
}

std::int64_t Backbone::multiply_accumulates() const { return layers_->multiply_accumulates(input_shape(1)); }

std::vector<std::string> network_names() {
  std::vector<std::string> names;
  for (const NamedIResNet& known : kIResNets) names.emplace_back(known.name);
  return names;
}

std::unique_ptr<Backbone> make_backbone(const config::ModelConfig& config, std::int64_t height, std::int64_t width,
                                        backend::Backend& backend, std::uint64_t seed) {
  if (config.embedding < 1 || height < 1 || width < 1) {
    throw Error(ErrorCode::config,
                fmt::format("impossible network shape (images {}x{}, embedding {}). Set data.height, "
                            "data.width and model.embedding to at least 1.",
                            height, width, config.embedding));
  }
  for (const NamedIResNet& known : kIResNets) {
    if (config.network != known.name) continue;
    return std::make_unique<Backbone>(BackboneSpec{config.network, height, width, config.embedding},
                                      make_iresnet(known.spec, height, width, config.embedding, config.batch_norm),
                                      backend, seed);
  }
  throw Error(ErrorCode::config, fmt::format("model.network '{}' is unknown. Choose one of: {}.", config.network,
                                             fmt::join(network_names(), ", ")));
}

}  // namespace plsc::models
