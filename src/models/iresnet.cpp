#include "plsc/models/iresnet.h"

#include <fmt/format.h>

#include <string>

#include "plsc/nn/batch_norm.h"
#include "plsc/nn/convolution.h"
#include "plsc/nn/linear.h"
#include "plsc/nn/residual.h"

namespace plsc::models {

namespace {

constexpr float kConvStd = 0.1F;

class Builder {
 public:
  explicit Builder(const config::BatchNormConfig& config) : config_(config) {}

  std::unique_ptr<nn::Convolution> conv(const std::string& name, std::int64_t in, std::int64_t out, int kernel,
                                        int stride) const {
    return std::make_unique<nn::Convolution>(name, backend::ConvolutionSpec{in, out, kernel, stride, kernel / 2},
                                             kConvStd);
  }

  std::unique_ptr<nn::BatchNorm> norm(const std::string& name, std::int64_t channels) const {
    return std::make_unique<nn::BatchNorm>(name, channels, options());
  }

  std::unique_ptr<nn::BatchNorm> norm_prelu(const std::string& name, const std::string& slope,
                                            std::int64_t channels) const {
    nn::BatchNormOptions with_slope = options();
    with_slope.activation = backend::Activation::prelu;
    with_slope.slope_name = slope;
    return std::make_unique<nn::BatchNorm>(name, channels, with_slope);
  }

  std::unique_ptr<nn::BatchNorm> norm_add(const std::string& name, std::int64_t channels) const {
    nn::BatchNormOptions with_add = options();
    with_add.residual = true;
    return std::make_unique<nn::BatchNorm>(name, channels, with_add);
  }

  std::unique_ptr<nn::BatchNorm> norm_fixed_scale(const std::string& name, std::int64_t channels) const {
    nn::BatchNormOptions fixed = options();
    fixed.learn_scale = false;
    return std::make_unique<nn::BatchNorm>(name, channels, fixed);
  }

  std::unique_ptr<nn::Residual> block(const std::string& name, std::int64_t in, std::int64_t out, int stride) const {
    auto body = std::make_unique<nn::Sequential>();
    body->add(norm(name + ".bn1", in));
    body->add(conv(name + ".conv1", in, out, 3, 1));
    body->add(norm_prelu(name + ".bn2", name + ".prelu", out));
    body->add(conv(name + ".conv2", out, out, 3, stride));
    auto shortcut = std::make_unique<nn::Sequential>();
    if (stride != 1 || in != out) {
      shortcut->add(conv(name + ".downsample.0", in, out, 1, stride));
      shortcut->add(norm(name + ".downsample.1", out));
    }
    return std::make_unique<nn::Residual>(std::move(body), norm_add(name + ".bn3", out), std::move(shortcut));
  }

 private:
  nn::BatchNormOptions options() const {
    nn::BatchNormOptions options;
    options.momentum = config_.momentum;
    options.epsilon = config_.epsilon;
    return options;
  }

  config::BatchNormConfig config_;
};

}  // namespace

std::unique_ptr<nn::Sequential> make_iresnet(const IResNetSpec& spec, std::int64_t height, std::int64_t width,
                                             std::int64_t embedding, const config::BatchNormConfig& batch_norm) {
  const Builder builder(batch_norm);
  auto network = std::make_unique<nn::Sequential>();
  std::int64_t channels = spec.widths[0];
  network->add(builder.conv("conv1", 3, channels, 3, 1));
  network->add(builder.norm_prelu("bn1", "prelu", channels));
  for (std::size_t stage = 0; stage < spec.blocks.size(); ++stage) {
    for (int block = 0; block < spec.blocks[stage]; ++block) {
      network->add(
          builder.block(fmt::format("layer{}.{}", stage + 1, block), channels, spec.widths[stage], block == 0 ? 2 : 1));
      channels = spec.widths[stage];
    }
  }
  const Shape features = network->output_shape(Shape{1, 3, height, width});
  network->add(builder.norm("bn2", channels));
  network->add(std::make_unique<nn::Linear>("fc", features.elements(), embedding));
  network->add(builder.norm_fixed_scale("features", embedding));
  return network;
}

}  // namespace plsc::models
