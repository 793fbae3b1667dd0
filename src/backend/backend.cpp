#include "plsc/backend/backend.h"

namespace plsc::backend {

Tensor Backend::activation(const Shape& shape, Layout layout) {
  return Tensor(memory(), shape, DType::f32, layout, channel_block());
}

Tensor Backend::tensor(const Shape& shape, DType dtype) { return Tensor(memory(), shape, dtype); }

}  // namespace plsc::backend
