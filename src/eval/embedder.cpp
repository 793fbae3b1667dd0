#include "plsc/eval/embedder.h"

#include <numeric>
#include <utility>

#include "eval/batch_embedder.h"
#include "plsc/comm/agreement.h"
#include "plsc/data/loader.h"

namespace plsc::eval {

namespace {

/// Mean over all images, in their order, so that it does not depend on how they were divided.
double mean_of(std::span<const double> norms) {
  return norms.empty() ? 0 : std::accumulate(norms.begin(), norms.end(), 0.0) / static_cast<double>(norms.size());
}

struct RowsAndNorms {
  std::vector<float> rows;    // [range.size, D]
  std::vector<double> norms;  // [range.size]
};

RowsAndNorms collect(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed) {
  RowsAndNorms out;
  out.rows.reserve(static_cast<std::size_t>(range.size * options.dimension));
  out.norms.reserve(static_cast<std::size_t>(range.size));
  embed_batches(set, range, options, embed, [&](const EmbeddedBatch& batch) {
    const auto valid = batch.rows.first(static_cast<std::size_t>(batch.valid * options.dimension));
    out.rows.insert(out.rows.end(), valid.begin(), valid.end());
    out.norms.insert(out.norms.end(), batch.norms.begin(), batch.norms.end());
  });
  return out;
}

/// The parts of all ranks behind each other; `columns` values per image.
template <class T>
std::vector<T> gather(const std::vector<T>& part, std::int64_t count, std::int64_t columns,
                      comm::Communicator& communicator) {
  std::vector<T> all(static_cast<std::size_t>(count * columns));
  std::vector<std::size_t> byte_counts;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const std::int64_t size = range_of(count, rank, communicator.size()).size;
    byte_counts.push_back(static_cast<std::size_t>(size * columns) * sizeof(T));
  }
  communicator.all_gather_v(std::as_bytes(std::span(part)), std::as_writable_bytes(std::span(all)), byte_counts);
  return all;
}

}  // namespace

std::int64_t VerificationImages::count() const { return static_cast<std::int64_t>(set_.images.size()); }

void VerificationImages::read(std::int64_t index, std::vector<std::byte>& bytes) const {
  bytes = set_.images[static_cast<std::size_t>(index)];
}

std::string VerificationImages::describe(std::int64_t index) const {
  return set_.describe(static_cast<std::size_t>(index));
}

std::int64_t SourceImages::count() const { return static_cast<std::int64_t>(source_.size()); }

void SourceImages::read(std::int64_t index, std::vector<std::byte>& bytes) const {
  source_.read(static_cast<std::uint64_t>(index), bytes);
}

std::string SourceImages::describe(std::int64_t index) const {
  return source_.describe(static_cast<std::uint64_t>(index));
}

ImageRange range_of(std::int64_t count, int rank, int world_size) {
  const data::BatchShare share = data::share_of(count, rank, world_size);
  return {share.begin, share.size};
}

std::int64_t rounds_for(std::int64_t count, int world_size, std::int64_t batch) {
  return (data::share_of(count, 0, world_size).padded + batch - 1) / batch;
}

void embed_batches(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed,
                   const std::function<void(const EmbeddedBatch&)>& consume) {
  BatchEmbedder embedder(set, range, options, embed);
  while (!embedder.finished()) consume(embedder.next());
}

Embeddings embed_range(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed) {
  RowsAndNorms part = collect(set, range, options, embed);
  return {range, std::move(part.rows), mean_of(part.norms)};
}

Embeddings embed_all(const ImageSet& set, const EmbedOptions& options, const EmbedFunction& embed,
                     comm::Communicator& communicator) {
  const std::int64_t count = set.count();
  RowsAndNorms part;
  comm::run_agreed(communicator, [&] {
    part = collect(set, range_of(count, communicator.rank(), communicator.size()), options, embed);
  });
  const std::vector<double> norms = gather(part.norms, count, 1, communicator);
  return {{0, count}, gather(part.rows, count, options.dimension, communicator), mean_of(norms)};
}

}  // namespace plsc::eval
