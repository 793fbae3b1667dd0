#include "plsc/nn/parameter.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "plsc/core/error.h"
#include "plsc/core/random.h"

namespace plsc::nn {

namespace {

constexpr std::size_t kAlignment = 16;  // elements: every parameter starts on a 64-byte line

std::size_t aligned(std::size_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

std::uint64_t hash_of(std::string_view name) {  // FNV-1a; only has to keep names apart
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

Tensor zeroed(backend::Backend& backend, std::size_t elements) {
  Tensor tensor = backend.tensor(Shape{static_cast<std::int64_t>(elements)});
  backend.fill(tensor, 0);
  return tensor;
}

void check_names(const ParameterList& list) {
  std::set<std::string> seen;
  const auto check = [&seen](const std::string& name) {
    if (!seen.insert(name).second) {
      throw Error(ErrorCode::internal, fmt::format("two parameters are named '{}'. Name every layer once.", name));
    }
  };
  for (const Parameter* parameter : list.parameters) check(parameter->name);
  for (const StateBuffer* buffer : list.buffers) check(buffer->name);
}

}  // namespace

ParameterStore::ParameterStore(ParameterList list, backend::Backend& backend, std::uint64_t seed)
    : list_(std::move(list)) {
  check_names(list_);
  std::size_t total = 0;
  for (const Parameter* parameter : list_.parameters) {
    offsets_.push_back(total);
    if (parameter->trainable) total += aligned(static_cast<std::size_t>(parameter->shape.elements()));
  }
  values_ = zeroed(backend, total);
  gradients_ = zeroed(backend, total);
  momentum_ = zeroed(backend, total);
  for (std::size_t i = 0; i < list_.parameters.size(); ++i) {
    Parameter& parameter = *list_.parameters[i];
    if (parameter.trainable) {
      parameter.value = values_.view(offsets_[i], parameter.shape);
      parameter.gradient = gradients_.view(offsets_[i], parameter.shape);
    } else {
      parameter.value = fixed_.emplace_back(backend.tensor(parameter.shape));
    }
    initialize(backend, parameter, seed);
  }

  std::size_t state_total = 0;
  for (const StateBuffer* buffer : list_.buffers)
    state_total += aligned(static_cast<std::size_t>(buffer->shape.elements()));
  states_ = zeroed(backend, state_total);
  std::size_t offset = 0;
  for (StateBuffer* buffer : list_.buffers) {
    buffer->value = states_.view(offset, buffer->shape);
    backend.fill(buffer->value, buffer->initial);
    offset += aligned(static_cast<std::size_t>(buffer->shape.elements()));
  }
}

void ParameterStore::initialize(backend::Backend& backend, const Parameter& parameter, std::uint64_t seed) const {
  if (parameter.initializer.kind == Initializer::Kind::constant) {
    backend.fill(parameter.value, parameter.initializer.a);
    return;
  }
  const double a = parameter.initializer.a;
  const bool normal = parameter.initializer.kind == Initializer::Kind::normal;
  CounterRng rng(seed, RandomPurpose::layer_init, hash_of(parameter.name));
  std::vector<float> values(static_cast<std::size_t>(parameter.shape.elements()));
  for (float& value : values) value = static_cast<float>(normal ? a * rng.normal() : a * (2 * rng.uniform() - 1));
  backend.copy_from_host(std::as_bytes(std::span(values)), parameter.value);
}

std::size_t ParameterStore::offset_of(const Parameter& parameter) const {
  const auto found = std::find(list_.parameters.begin(), list_.parameters.end(), &parameter);
  if (found == list_.parameters.end() || !parameter.trainable) {
    throw Error(ErrorCode::internal, fmt::format("'{}' is not a trainable parameter of this store.", parameter.name));
  }
  return offsets_[static_cast<std::size_t>(found - list_.parameters.begin())];
}

std::int64_t ParameterStore::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter* parameter : list_.parameters) count += parameter->shape.elements();
  return count;
}

void ParameterStore::touch() {
  for (Parameter* parameter : list_.parameters) ++parameter->version;
}

}  // namespace plsc::nn
