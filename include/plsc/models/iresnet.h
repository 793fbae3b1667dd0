#pragma once
// IResNet as arcface_torch has it (Duta et al. 2020; insightface recognition/arcface_torch/backbones/iresnet.py):
// blocks of BN - conv3x3 - BN - PReLU - conv3x3(stride) - BN + shortcut, no activation after the add; the head is
// BN - FC - BN with fixed gamma. Parameter names are arcface_torch's.

#include <array>
#include <cstdint>
#include <memory>

#include "plsc/config/config.h"
#include "plsc/nn/sequential.h"

namespace plsc::models {

struct IResNetSpec {
  std::array<int, 4> blocks{};
  std::array<std::int64_t, 4> widths{64, 128, 256, 512};
};

std::unique_ptr<nn::Sequential> make_iresnet(const IResNetSpec& spec, std::int64_t height, std::int64_t width,
                                             std::int64_t embedding, const config::BatchNormConfig& batch_norm);

}  // namespace plsc::models
