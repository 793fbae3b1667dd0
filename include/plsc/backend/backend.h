#pragma once
// Backend: the only seam to a device. Memory, stateless operations, and factories for planned operations that layers
// own. Arguments are checked by the callers (layers, heads); backends trust them. All calls are asynchronous on the
// backend's stream in principle; synchronize() waits. On the CPU every call has finished when it returns. A backend
// outlives the tensors and operations it made.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "plsc/backend/batch_norm.h"
#include "plsc/backend/classifier.h"
#include "plsc/backend/convolution.h"
#include "plsc/backend/linear.h"
#include "plsc/backend/step_state.h"
#include "plsc/core/tensor.h"

namespace plsc::backend {

/// Bytes handed out by the backend's pool; `system_allocations` must stand still in the steady state.
struct MemoryStatistics {
  std::size_t live_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t reserved_bytes = 0;
  std::uint64_t system_allocations = 0;
};

/// A part of flat parameter storage that shares one optimiser rule. Elements, not bytes.
struct ParameterSegment {
  std::size_t begin = 0;
  std::size_t size = 0;
  float weight_decay = 0;
};

struct SgdRule {
  float momentum = 0.9F;
  bool nesterov = false;
};

/// Choices made by timing (contract C13): operation key -> chosen variant, "conv_forward 32x64x56x56 64 k3 s1 p1 t2"
/// (input, output channels, kernel, stride, padding, threads) -> "winograd". Made by rank 0, broadcast, stored with
/// checkpoints.
using TunedChoices = std::map<std::string, std::string>;

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  ///< "cpu: oneDNN 2.6.3, avx512_core, Highway AVX3, 2 threads"
  virtual MemorySource& memory() = 0;
  virtual MemoryStatistics memory_statistics() const = 0;
  virtual int channel_block() const = 0;  ///< b of Layout::blocked on this machine: 16 (AVX-512) or 8
  virtual int threads() const = 0;
  virtual void synchronize() = 0;

  // ---- planned operations (immutable shapes, own scratch and reordered weights) ----
  virtual std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec, const Shape& input) = 0;
  virtual std::unique_ptr<Linear> make_linear(const LinearSpec& spec, const Shape& input, Layout layout) = 0;
  virtual std::unique_ptr<BatchNorm> make_batch_norm(const BatchNormSpec& spec, const Shape& input) = 0;
  virtual std::unique_ptr<ClassifierTile> make_classifier_tile(const ClassifierTileSpec& spec) = 0;

  virtual const TunedChoices& tuned_choices() const = 0;
  /// Replaces all choices; used instead of timing where a key is present. Plans that exist already stay as they are.
  virtual void set_tuned_choices(const TunedChoices& choices) = 0;

  // ---- stateless operations ----
  /// Blocked or plain activation tensor, uninitialised.
  Tensor activation(const Shape& shape, Layout layout);
  Tensor tensor(const Shape& shape, DType dtype = DType::f32);

  virtual void fill(const Tensor& target, float value) = 0;           ///< f32, all physical elements
  virtual void copy(const Tensor& source, const Tensor& target) = 0;  ///< same type, layout and element count
  virtual void add(const Tensor& source, const Tensor& target) = 0;   ///< target += source (f32)
  virtual void scale(const Tensor& target, float factor) = 0;         ///< target *= factor (f32)
  virtual void copy_from_host(std::span<const std::byte> source, const Tensor& target) = 0;
  virtual void copy_to_host(const Tensor& source, std::span<std::byte> target) = 0;  ///< synchronises

  /// images [B, 3, H, W] u8 -> output f32 plain: (x - 127.5) / divisor; divisor is 127.5 (ArcFace) or 128 (PLSC).
  virtual void normalize_images(const Tensor& images, float divisor, const Tensor& output) = 0;
  /// Mirrors images [B, 3, H, W] u8 left to right.
  virtual void flip_images(const Tensor& images, const Tensor& output) = 0;

  /// Sum of squares of a flat f32 tensor, accumulated in double in a fixed order -> result[0] (f64, backend memory).
  virtual void sum_of_squares(const Tensor& values, const Tensor& result) = 0;
  /// PyTorch's clip_grad_norm_: state.gradient_scale *= min(1, limit / (norm + 1e-6)), where the norm is that of the
  /// gradients as the update will see them, gradient_scale * sqrt(sum_of_squares[0]). A non-finite norm sets state.skip
  /// instead. limit <= 0 only checks.
  virtual void clip_scale(const Tensor& sum_of_squares, float limit, const Tensor& state) = 0;

  /// SGD with momentum over flat storage, PyTorch's form: g = scale*grad + wd*w; v = mu*v + g; w -= lr*(nesterov ? g +
  /// mu*v : v), scale and lr from state (a StepState in backend memory). Momentum starts at zero, which equals
  /// PyTorch's first step. Elements outside the segments stay; nothing changes when state.skip is set.
  virtual void sgd_update(const Tensor& values, const Tensor& gradients, const Tensor& momentum,
                          std::span<const ParameterSegment> segments, const SgdRule& rule, const Tensor& state) = 0;
};

}  // namespace plsc::backend
