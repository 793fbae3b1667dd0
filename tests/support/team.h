#pragma once
// Size of computing teams in tests.

namespace plsc::test {

/// Threads of a test's larger team. ThreadSanitizer does not know libgomp's barriers, so there it sees one thread.
#ifdef __SANITIZE_THREAD__
inline constexpr int kTeam = 1;
#else
inline constexpr int kTeam = 2;
#endif

}  // namespace plsc::test
