#pragma once
// Parameters and buffers of a network, and the flat storage they share: values, gradients and momentum of all trainable
// parameters lie one after another in registration (forward) order, so that all-reduce buckets are contiguous and the
// optimiser is one pass.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plsc/backend/backend.h"

namespace plsc::nn {

/// Decides weight decay (optim.decay_*).
enum class ParameterKind { weight, bias, batch_norm, prelu };

/// Starting values; `normal`: deviation a, `uniform`: [-a, a), `constant`: a.
struct Initializer {
  enum class Kind { normal, uniform, constant } kind = Kind::constant;
  float a = 0;
};

struct Parameter {
  std::string name;  ///< arcface_torch's name, e.g. "layer1.0.conv1.weight"
  Shape shape;
  ParameterKind kind = ParameterKind::weight;
  Initializer initializer;
  bool trainable = true;

  Tensor value;               ///< set by ParameterStore
  Tensor gradient;            ///< set by ParameterStore; undefined when not trainable
  std::uint64_t version = 1;  ///< changes whenever the value does

  backend::Weights weights() const { return {value, version}; }
};

/// State that is not learnt by gradient: BatchNorm's running statistics, [C] f32.
struct StateBuffer {
  std::string name;
  Shape shape;
  float initial = 0;
  Tensor value;  ///< set by ParameterStore
};

/// Collects what layers own; pointers stay valid as long as the layers live.
struct ParameterList {
  std::vector<Parameter*> parameters;
  std::vector<StateBuffer*> buffers;
};

class ParameterStore {
 public:
  /// Allocates storage in `backend`, initialises every value from (seed, name): independent of order and ranks.
  ParameterStore(ParameterList list, backend::Backend& backend, std::uint64_t seed);

  std::span<Parameter* const> parameters() const { return list_.parameters; }
  std::span<StateBuffer* const> buffers() const { return list_.buffers; }

  const Tensor& values() const { return values_; }        ///< flat f32, trainable parameters only
  const Tensor& gradients() const { return gradients_; }  ///< flat f32
  const Tensor& momentum() const { return momentum_; }    ///< flat f32, zero at the start
  const Tensor& states() const { return states_; }        ///< flat f32, all buffers

  /// First element of a trainable parameter in the flat tensors.
  std::size_t offset_of(const Parameter& parameter) const;
  std::int64_t parameter_count() const;  ///< learnt and fixed parameters, without buffers, as PyTorch counts

  /// To be called after the values changed behind the layers' back (update, load).
  void touch();

 private:
  void initialize(backend::Backend& backend, const Parameter& parameter, std::uint64_t seed) const;

  ParameterList list_;
  std::vector<std::size_t> offsets_;  ///< per parameter; meaningless for fixed ones
  Tensor values_;
  Tensor gradients_;
  Tensor momentum_;
  Tensor states_;
  std::vector<Tensor> fixed_;
};

}  // namespace plsc::nn
