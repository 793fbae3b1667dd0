#pragma once
// Backbone: a network from images to embeddings, with its parameters. The data-parallel half of the model.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plsc/config/config.h"
#include "plsc/nn/parameter.h"
#include "plsc/nn/sequential.h"

namespace plsc::models {

/// What is fixed about a network once it is built.
struct BackboneSpec {
  std::string network;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t embedding = 0;
};

class Backbone {
 public:
  /// Throws Error{config} when the layers do not turn [B, 3, H, W] into [B, embedding].
  Backbone(BackboneSpec spec, std::unique_ptr<nn::Sequential> layers, backend::Backend& backend, std::uint64_t seed);

  const BackboneSpec& spec() const { return spec_; }
  nn::ParameterStore& parameters() { return parameters_; }
  const nn::ParameterStore& parameters() const { return parameters_; }

  /// Makes all planned operations for this batch size, timing choices included; backward ones only for training.
  void plan(std::int64_t batch, nn::Mode mode);
  /// images [B, 3, H, W] f32 plain, normalised -> embeddings [B, D] f32 plain. context.begin() was called.
  Tensor forward(const Tensor& images, nn::ForwardContext& context);
  void backward(const Tensor& d_embeddings, nn::ForwardContext& context);

  std::int64_t multiply_accumulates() const;  ///< per image, one forward

 private:
  Shape input_shape(std::int64_t batch) const { return {batch, 3, spec_.height, spec_.width}; }

  BackboneSpec spec_;
  std::unique_ptr<nn::Sequential> layers_;
  backend::Backend* backend_;
  nn::ParameterStore parameters_;
};

/// Networks a configuration may name.
std::vector<std::string> network_names();

/// Throws Error{config} for an unknown name (listing the known ones) or an impossible image size.
std::unique_ptr<Backbone> make_backbone(const config::ModelConfig& config, std::int64_t height, std::int64_t width,
                                        backend::Backend& backend, std::uint64_t seed);

}  // namespace plsc::models
