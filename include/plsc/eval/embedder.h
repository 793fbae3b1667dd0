#pragma once
// Runs a network that it does not know over a set of encoded images: shards them over ranks, decodes ahead in threads
// while the network computes, adds the embedding of the mirrored image, and gathers the rows.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/core/tensor.h"
#include "plsc/data/source.h"
#include "plsc/eval/verification_set.h"

namespace plsc::eval {

/// images [B, 3, H, W] u8 RGB on the host -> out [B, D]. B is always EmbedOptions::batch; the last batch is padded with
/// zero images, whose rows are ignored. Must not communicate: ranks call it at different times.
using EmbedFunction = std::function<void(const Tensor& images, std::span<float> out)>;

/// Encoded images that can be read by index; safe from many threads.
class ImageSet {
 public:
  virtual ~ImageSet() = default;
  virtual std::int64_t count() const = 0;
  virtual void read(std::int64_t index, std::vector<std::byte>& bytes) const = 0;
  virtual std::string describe(std::int64_t index) const = 0;
};

/// The images of a verification set, two per pair. `set` must outlive it.
class VerificationImages final : public ImageSet {
 public:
  explicit VerificationImages(const VerificationSet& set) : set_(set) {}
  std::int64_t count() const override;
  void read(std::int64_t index, std::vector<std::byte>& bytes) const override;
  std::string describe(std::int64_t index) const override;

 private:
  const VerificationSet& set_;
};

/// The images of a labelled source. `source` must outlive it.
class SourceImages final : public ImageSet {
 public:
  explicit SourceImages(const data::SampleSource& source) : source_(source) {}
  std::int64_t count() const override;
  void read(std::int64_t index, std::vector<std::byte>& bytes) const override;
  std::string describe(std::int64_t index) const override;

 private:
  const data::SampleSource& source_;
};

struct EmbedOptions {
  int height = 112;  ///< images of another size are scaled
  int width = 112;
  std::int64_t batch = 64;       ///< B
  std::int64_t dimension = 512;  ///< D
  bool flip = true;              ///< row = embedding(image) + embedding(mirrored image)
  int decode_threads = 1;
  std::function<void(std::int64_t done, std::int64_t total)> on_progress;  ///< images of this rank, after each batch
};

/// Images [begin, begin + size) belong to this rank; contiguous, the first count % world_size ranks have one more.
struct ImageRange {
  std::int64_t begin = 0;
  std::int64_t size = 0;
};
ImageRange range_of(std::int64_t count, int rank, int world_size);
/// Batches that every rank must make when each batch is followed by a collective call: those of the largest range.
std::int64_t rounds_for(std::int64_t count, int world_size, std::int64_t batch);

/// One embedded batch: rows [B, D], of which the first `valid` are images first, first + 1, ...; the others are zero.
/// norms [valid]: L2 norm of each image's embedding before the flips are summed, averaged over the flips.
struct EmbeddedBatch {
  std::int64_t first = 0;
  std::int64_t valid = 0;
  std::span<const float> rows;
  std::span<const double> norms;
};
/// Embeds the images of `range` batch after batch in memory of a few batches. Not collective. An image that cannot be
/// decoded is Error{data} with its description; of several the first one.
void embed_batches(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed,
                   const std::function<void(const EmbeddedBatch&)>& consume);

struct Embeddings {
  ImageRange range;         ///< the images of `rows`
  std::vector<float> rows;  ///< [range.size, D], flip-summed, not normalised
  /// XNorm: mean norm of the un-normalised embeddings of `range`. As insightface takes it, a mirrored image counts as
  /// one more image: the mean runs over the norms of both, not over the norm of their sum.
  double xnorm = 0;
};
/// The rows of this rank's range stay on this rank. Not collective.
Embeddings embed_range(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed);
/// Every rank embeds its range and gets the rows of all images: the same bits for any number of ranks as long as a row
/// does not depend on its neighbours in the batch. Collective; a failure of one rank is thrown by all.
Embeddings embed_all(const ImageSet& set, const EmbedOptions& options, const EmbedFunction& embed,
                     comm::Communicator& communicator);

}  // namespace plsc::eval
