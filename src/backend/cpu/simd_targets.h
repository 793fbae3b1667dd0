// Instruction sets that Highway compiles for: the oldest x86-64, SSE4, AVX2 and AVX-512 (or another machine's own). No
// include guard: it must precede every inclusion of Highway, and foreach_target.h includes sources again.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#endif
