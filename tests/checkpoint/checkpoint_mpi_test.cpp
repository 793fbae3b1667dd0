#include <catch2/catch.hpp>
#include <optional>

#include "checkpoint/snapshots.h"
#include "checkpoint/watched_storage.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/mpi.h"
#include "plsc/comm/self.h"
#include "support/temp_dir.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

/// One directory for all ranks, removed by rank 0 after all are done.
class SharedDir {
 public:
  explicit SharedDir(comm::Communicator& communicator) : communicator_(communicator) {
    if (communicator.rank() == 0) owned_.emplace();
    path_ = communicator.broadcast_text(owned_ ? owned_->path().string() : std::string(), 0);
  }
  ~SharedDir() { communicator_.barrier(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  comm::Communicator& communicator_;
  std::optional<test::TempDir> owned_;
  std::filesystem::path path_;
};

/// Uneven shares of 11 rows; the last rank of several holds none.
Split split_for(int ranks) {
  if (ranks == 1) return {11};
  Split split(static_cast<std::size_t>(ranks), 2);
  split[0] = 11 - 2 * (ranks - 2);
  split.back() = 0;
  return split;
}

}  // namespace

TEST_CASE("processes save together, and together or alone load the same bits", "[checkpoint][mpi]") {
  const auto communicator = comm::make_mpi_communicator();
  const int rank = communicator->rank();
  const Split split = split_for(communicator->size());
  const SharedDir dir(*communicator);

  const std::filesystem::path directory = save(make_snapshot(30, split, rank), dir.path(), *communicator);
  Snapshot together = make_snapshot(1, split, rank);
  const Manifest manifest = load(directory, together, *communicator);
  const auto self = comm::make_self_communicator();
  Snapshot alone = make_snapshot(1, {11}, 0);
  load(directory, alone, *self);

  CHECK(manifest.world_size == communicator->size());
  CHECK(same(together, make_snapshot(30, split, rank)));
  CHECK(same(alone, make_snapshot(30, {11}, 0)));
}

TEST_CASE("a process that cannot write fails the save for all, naming its rank", "[checkpoint][mpi]") {
  const auto communicator = comm::make_mpi_communicator();
  const int rank = communicator->rank();
  const int last = communicator->size() - 1;
  const Split split = split_for(communicator->size());
  const SharedDir dir(*communicator);
  Watch watch;
  if (rank == last) watch.fail_at = 3;

  const std::string text = error_text(
      ErrorCode::io, [&] { save(make_snapshot(30, split, rank), watched(dir.path(), watch), *communicator); });
  const std::vector<std::string> texts = communicator->all_gather_text(text);

  CHECK_THAT(text, Contains("injected failure"));
  CHECK(texts.front() == texts.back());
  if (last > 0) CHECK_THAT(text, Contains("rank " + std::to_string(last) + " of"));
  CHECK_FALSE(find_latest(dir.path()).has_value());
}

}  // namespace plsc::checkpoint
