#pragma once
// Renders the glyphs of font files to a labelled image set: classes are code points, samples are faces. Whole faces can
// be held out for a closed-set test, whole classes for verification pairs. The output folder holds
//   images/U+4E00/<face>.png   gray, dark on light, size x size (jittered copies: <face>.v1.png ...)
//   train.txt, test.txt        path<TAB>label; labels are dense and ordered by code point; test: held-out faces
//   pairs.txt                  path<TAB>path<TAB>0|1; held-out classes; ten folds, each half same, half different
//   classes.tsv                label, code point, character, faces (label -1: held-out class)
//   render.json                options, faces, counts, what was dropped
// The same options and fonts give the same bytes, whatever the number of threads.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace plsc::data {

enum class RenderFormat { png, jpeg };

/// Extra training drawings per class and face, each with its own small transform (uniform in +- the bound).
struct RenderJitter {
  int variants = 0;
  double rotation = 5.0;  ///< degrees
  double scale = 0.08;    ///< relative size
  double shift = 0.04;    ///< of the image size
};

struct RenderOptions {
  /// Font files (TTF, OTF, TTC), one face of a collection as "file.ttc#2", folders (searched recursively), patterns.
  std::vector<std::string> fonts;
  /// Faces left out, named by "file.ttc", "file.ttc#2" (with or without its folder) or a part of the family name.
  std::vector<std::string> exclude;
  /// Named sets (han, han-ext, hangul, kana, latin, greek, cyrillic) and hexadecimal ranges such as "4E00-9FFF".
  std::vector<std::string> characters = {"han"};
  std::vector<std::string> held_out_faces;  ///< never in training; named as in `exclude`
  std::int64_t num_classes = 0;             ///< training classes: the best covered code points; 0: all that qualify
  std::int64_t held_out_classes = 0;        ///< further classes, for pairs.txt only
  std::int64_t pairs = 0;                   ///< multiple of 20
  int min_faces = 4;                        ///< training faces that draw a class, each in its own way
  int size = 48;                            ///< pixels
  double margin = 0.04;                     ///< free border, of the image size
  double duplicate_tolerance = 0.10;        ///< drawings of one character that differ by less ink than this are one
  RenderJitter jitter;
  RenderFormat format = RenderFormat::png;
  int jpeg_quality = 92;
  std::uint64_t seed = 2048;
  int threads = 0;  ///< 0: all cores
  std::string output;
  /// (done, total) in classes drawn, always on the calling thread; total never changes, the last call has done ==
  /// total.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

struct RenderedFace {
  std::string name;  ///< stem of its image files: "NotoSansCJK-Bold-2"
  std::string file;
  int index = 0;
  std::string family;  ///< "Noto Sans CJK SC Bold"
  bool held_out = false;
  std::int64_t images = 0;  ///< plain drawings written
};

/// Drawings (class and face) that were not taken, and classes.
struct RenderDropped {
  std::int64_t empty = 0;                ///< mapped code points without ink
  std::int64_t placeholders = 0;         ///< .notdef, or one outline for very many code points of a face
  std::int64_t shared = 0;               ///< outline of another, lower code point of the same face
  std::int64_t duplicates = 0;           ///< like an earlier training face's drawing of the character
  std::int64_t held_out_duplicates = 0;  ///< held-out faces' drawings like an earlier face's
  std::int64_t thin_classes = 0;         ///< code points with too few faces
};

struct RenderResult {
  bool reused = false;  ///< the folder already held the same set
  std::int64_t classes = 0;
  std::int64_t held_out_classes = 0;
  std::int64_t train_images = 0;
  std::int64_t test_images = 0;
  std::int64_t pairs = 0;
  std::vector<RenderedFace> faces;
  std::vector<std::string> skipped_fonts;  ///< "file (reason)": found in a folder or by a pattern, but not usable
  RenderDropped dropped;
};

/// Renders into "<output>.tmp" and renames it at the end. A folder that already holds the set of the same options is
/// reused; any other content is an error. Throws Error{usage|data|io}.
RenderResult render_characters(const RenderOptions& options);

}  // namespace plsc::data
