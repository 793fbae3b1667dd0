#include "plsc/core/shape.h"

#include <catch2/catch.hpp>

#include "plsc/core/error.h"

namespace plsc {

TEST_CASE("a shape knows its dimensions", "[shape]") {
  const Shape shape{32, 64, 7, 5};

  CHECK(shape.rank() == 4);
  CHECK(shape[1] == 64);
  CHECK(shape.elements() == 32 * 64 * 7 * 5);
  CHECK(shape.text() == "[32, 64, 7, 5]");
}

TEST_CASE("a shape without dimensions is a scalar, one with a zero is empty", "[shape]") {
  CHECK(Shape().rank() == 0);
  CHECK(Shape().elements() == 1);
  CHECK(Shape().text() == "[]");
  CHECK(Shape{5, 0, 3}.elements() == 0);
}

TEST_CASE("elements are counted in 64 bits", "[shape]") { CHECK(Shape{100'000'000, 512}.elements() == 51'200'000'000); }

TEST_CASE("shapes compare by rank and dimensions", "[shape]") {
  Shape changed{2, 3};
  changed[1] = 4;

  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(changed == Shape{2, 4});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{9} < Shape{1, 1});
  CHECK(Shape{2, 3} < Shape{2, 4});
  CHECK_FALSE(Shape{2, 4} < Shape{2, 4});
}

TEST_CASE("a fifth dimension is refused", "[shape]") {
  CHECK_THROWS_WITH((Shape{1, 2, 3, 4, 5}), Catch::Contains("5 dimensions") && Catch::Contains("at most 4"));
}

TEST_CASE("element types have sizes and names", "[shape]") {
  const std::vector<std::tuple<DType, std::size_t, std::string>> types = {
      {DType::f32, 4, "f32"}, {DType::bf16, 2, "bf16"}, {DType::f16, 2, "f16"}, {DType::f64, 8, "f64"},
      {DType::u8, 1, "u8"},   {DType::i32, 4, "i32"},   {DType::i64, 8, "i64"}};
  for (const auto& [dtype, size, name] : types) {
    CHECK(size_of(dtype) == size);
    CHECK(name_of(dtype) == name);
  }
}

}  // namespace plsc
