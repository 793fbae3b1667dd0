#include "plsc/eval/verification_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "plsc/core/error.h"
#include "plsc/core/random.h"
#include "support/temp_dir.h"

namespace plsc::eval {

namespace {

using namespace std::string_literals;
using Catch::Matchers::Contains;
using test::TempDir;

const std::filesystem::path kFixtures = std::filesystem::path(PLSC_SOURCE_DIR) / "tests/eval/fixtures";

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The images of make_pickles.py.
std::vector<std::string> fixture_images() {
  std::string range;
  for (int byte = 0x70; byte < 0x100; ++byte) range += static_cast<char>(byte);
  return {"\x89PNG\r\n\x1a\n\x00\xff"s, "it's \"quoted\" \\ \\x41 \t end", range,
          "\xff\xd8\xff\xe0 caf\xc3\xa9 \x80\xbf\n"};
}

std::vector<std::filesystem::path> fixture_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtures)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

VerificationSet read_bytes(const std::string& pickle) { return parse_bin(std::as_bytes(std::span(pickle)), "set.bin"); }

/// Little-endian number of `width` bytes.
std::string little(std::uint64_t number, int width) {
  std::string out;
  for (int i = 0; i < width; ++i) out += static_cast<char>(number >> (8 * i));
  return out;
}

/// SHORT_BINBYTES and SHORT_BINSTRING.
std::string bytes(const std::string& content) { return std::string("C").append(little(content.size(), 1)) + content; }
std::string str(const std::string& content) { return std::string("U").append(little(content.size(), 1)) + content; }

const std::string kZero = "K"s + '\0';  // the integer 0
const std::string kProtocol2 = "\x80\x02";
const std::string kFourImages = "](" + bytes("a") + bytes("b") + bytes("c") + bytes("d") + "e";
const std::string kTwoFlags = "](\x88\x89\x65";

std::string message_of(const std::string& pickle) {
  try {
    read_bytes(pickle);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::data);
    return error.message();
  }
  return "no error";
}

}  // namespace

TEST_CASE("every way in which Python pickles a set gives the same set", "[verification_set]") {
  const std::vector<std::string> expected = fixture_images();
  const auto files = fixture_files();
  REQUIRE(files.size() >= 30);

  for (const auto& file : files) {
    CAPTURE(file.filename());

    const VerificationSet set = read_bin(file.string());

    CHECK(set.name == file.stem().string());
    REQUIRE(set.images.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(text_of(set.images[i]) == expected[i]);
    CHECK(set.same == std::vector<std::uint8_t>{1, 0});
  }
}

TEST_CASE("opcodes that only very large files use are read", "[verification_set]") {
  const auto first_image = [](const std::string& image) {
    const std::string rest = bytes("b") + bytes("c") + bytes("d") + "e";
    return text_of(read_bytes("\x80\x05]("s + image + rest + kTwoFlags + "\x86.").images[0]);
  };
  const std::string key = little(70000, 4);

  CHECK(first_image("B"s + little(1, 4) + "a") == "a");
  CHECK(first_image("\x8e"s + little(1, 8) + "a") == "a");
  CHECK(first_image("\x96"s + little(1, 8) + "a") == "a");
  CHECK(first_image("\x8d"s + little(2, 8) + "\xc3\xa9") == "\xe9");
  CHECK(first_image(bytes("a") + "r" + key + "0j" + key) == "a");
}

TEST_CASE("numbers of every width serve as flags", "[verification_set]") {
  const auto flags_of = [](const std::string& first, const std::string& second) {
    return read_bytes(kProtocol2 + kFourImages + "](" + first + second + "e\x86.").same;
  };
  const std::vector<std::uint8_t> expected{1, 0};

  CHECK(flags_of("M"s + little(1, 2), "M"s + little(0, 2)) == expected);
  CHECK(flags_of("J"s + little(1, 4), "J"s + little(0, 4)) == expected);
  CHECK(flags_of("\x8a\x08"s + little(1, 8), "\x8a"s + little(0, 1)) == expected);
  CHECK(flags_of("I1\n", "I0\n") == expected);
}

TEST_CASE("a file that is no pickle is named as such", "[verification_set]") {
  const std::string expected = "is not an InsightFace verification file";

  CHECK_THAT(message_of("\xff\xd8\xff\xe0 a photograph"), Contains(expected) && Contains("0xff"));
  CHECK_THAT(message_of("images/a.jpg\t0\n"), Contains(expected));
  CHECK_THAT(message_of("\x0a\x23\xd7\xce" + little(20, 4)), Contains(expected));
  CHECK_THAT(message_of("PK\x03\x04"), Contains(expected));
  CHECK_THAT(message_of(""), Contains(expected) && Contains("empty"));
}

TEST_CASE("a missing file and a directory are named", "[verification_set]") {
  const TempDir folder;

  CHECK_THROWS_WITH(read_bin((folder / "none.bin").string()), Contains("none.bin") && Contains("No such file"));
  CHECK_THROWS_WITH(read_bin(folder.path().string()), Contains("it is a directory"));
}

TEST_CASE("every truncation of every fixture is an error with its place", "[verification_set]") {
  for (const auto& file : fixture_files()) {
    const std::string whole = read_text(file);
    for (std::size_t size = 1; size < whole.size(); size += 3) {
      CAPTURE(file.filename(), size);

      const std::string message = message_of(whole.substr(0, size));

      CHECK_THAT(message, Contains("set.bin is truncated") && Contains("byte"));
    }
  }
}

TEST_CASE("a length beyond the end of the file is an error, not an allocation", "[verification_set]") {
  CHECK_THAT(message_of("\x80\x02](B\xff\xff\xff\xffxy"),
             Contains("truncated (opcode BINBYTES at byte 4 needs 4294967295 bytes, 2 remain)"));
  CHECK_THAT(message_of("\x80\x04\x8e" + little(~std::uint64_t{0}, 8)), Contains("BINBYTES8 at byte 2"));
  CHECK_THAT(message_of("\x80\x04\x95" + little(1000, 8) + "N."),
             Contains("FRAME at byte 2 needs 1000 bytes, 2 remain"));
  CHECK_THAT(message_of("(I1"), Contains("opcode INT at byte 1 has no end of line"));
  CHECK_THAT(message_of("\x80\x02]"), Contains("no STOP before its end at byte 3"));
}

TEST_CASE("nothing is executed: other globals are refused by name", "[verification_set]") {
  const std::string refused = "nothing in a file is executed";
  const auto short_text = [](const std::string& text) { return "\x8c"s + little(text.size(), 1) + text; };

  CHECK_THAT(message_of(kProtocol2 + "cos\nsystem\n(S'true'\ntR."),
             Contains("GLOBAL at byte 2 names \"os.system\"") && Contains(refused));
  CHECK_THAT(message_of("\x80\x04"s + short_text("builtins") + short_text("eval") + "\x93."),
             Contains("STACK_GLOBAL at byte 18 names \"builtins.eval\"") && Contains(refused));
  CHECK_THAT(message_of(kProtocol2 + "cnumpy.core.multiarray\nfromfile\n."),
             Contains("numpy.core.multiarray.fromfile"));
  CHECK_THAT(message_of(kProtocol2 + "ca\x1b[2J\nb\n."), Contains("a?[2J.b"));
}

TEST_CASE("opcodes that no verification file needs are refused by name and place", "[verification_set]") {
  const std::pair<std::string, std::string> refused[] = {{"F1.5\n", "FLOAT"},
                                                         {"G" + little(0, 8), "BINFLOAT"},
                                                         {"Pid\n", "PERSID"},
                                                         {"Q", "BINPERSID"},
                                                         {"d", "DICT"},
                                                         {"}", "EMPTY_DICT"},
                                                         {"s", "SETITEM"},
                                                         {"u", "SETITEMS"},
                                                         {"ios\nx\n", "INST"},
                                                         {"o", "OBJ"},
                                                         {"1", "POP_MARK"},
                                                         {"2", "DUP"},
                                                         {"\x81", "NEWOBJ"},
                                                         {"\x82\x01", "EXT1"},
                                                         {"\x83", "EXT2"},
                                                         {"\x84", "EXT4"},
                                                         {"\x8b", "LONG4"},
                                                         {"\x8f", "EMPTY_SET"},
                                                         {"\x90", "ADDITEMS"},
                                                         {"\x91", "FROZENSET"},
                                                         {"\x92", "NEWOBJ_EX"},
                                                         {"\x97", "NEXT_BUFFER"},
                                                         {"\x98", "READONLY_BUFFER"},
                                                         {"\xfe", "0xfe"}};

  for (const auto& [code, name] : refused) {
    CHECK_THAT(message_of("\x80\x05N" + code),
               Contains(fmt::format("opcode {} at byte 3 has no place in a verification file", name)));
  }
  CHECK_THAT(message_of("\x80\x06N."), Contains("pickle protocol 6; 0 to 5 are known"));
}

TEST_CASE("damaged pickles say what is wrong and where", "[verification_set]") {
  const std::string codec = "c_codecs\nencode\n";
  const std::pair<std::string, std::string> damaged[] = {
      {".", "STOP at byte 2: it needs a value and the stack is empty"},
      {"N(0", "POP at byte 4: it needs a value and the stack is empty"},
      {"e", "APPENDS at byte 2: there is no MARK before it"},
      {"NNa", "APPEND at byte 4: it appends to None"},
      {"h\x07", "BINGET at byte 2: nothing was stored under memo key 7"},
      {"gx\n", "its memo key is not a number"},
      {"I12x\n", "its number is not a decimal of 64 bits"},
      {"L99999999999999999999L\n", "its number is not a decimal of 64 bits"},
      {"\x8a\x09"s + little(0, 8) + "a", "an integer of 9 bytes; 8 at most"},
      {"Sabc\n", "its string is not in quotes"},
      {"S'a\\x4'\n", "its string has a broken escape"},
      {"S'a\\'\n", "its string has a broken escape"},
      {"S'\\777'\n", "its string has a broken escape"},
      {"V\\u12\n", "its text has a broken escape"},
      {"V\\U00110000\n", "its text has a broken escape"},
      {std::string(65, '('), "nested deeper than 64 levels"},
      {"NN\x93", "module and name are not both text"},
      {"N)R", "the callable is None"},
      {codec + "NR", "the argument list is None"},
      {codec + ")R", "_codecs.encode has 0 arguments, not 2"},
      {codec + "Va\nVutf8\n\x86R", "encoding \"utf8\", not latin1"},
      {codec + "V\\u0100\nVlatin1\n\x86R", "the text of _codecs.encode is not Latin-1"},
      {codec + str("a") + "Vlatin1\n\x86R", "the argument of _codecs.encode is a byte string"},
      {"cbuiltins\nbytearray\nNNN\x87R", "a byte string is made from 3 arguments"},
      {"cbuiltins\nbytes\nN\x85R", "the content of a byte string is None"},
  };

  for (const auto& [body, expected] : damaged) {
    CAPTURE(body);
    CHECK_THAT(message_of(kProtocol2 + body), Contains(expected));
  }
}

TEST_CASE("numpy objects that are not plain arrays of integers are refused", "[verification_set]") {
  const auto dtype = [](const std::string& code) { return "cnumpy\ndtype\n"s + str(code) + kZero + "K\x01\x87R"; };
  const std::string u1 = dtype("u1");
  const std::string array = "cnumpy.core.multiarray\n_reconstruct\n)R";
  // (version, shape, dtype, Fortran order, content)
  const auto filled = [&](const std::string& shape, const std::string& order = "\x89") {
    return "(K\x01"s + shape + u1 + order + str("a") + "tb";
  };
  const std::string one = "K\x01\x85";
  const std::string huge = "\x8a\x08"s + little(1ULL << 62, 8);
  const std::string buffer = "cnumpy.core.numeric\n_frombuffer\n";
  const std::string scalar = "cnumpy.core.multiarray\nscalar\n";
  const std::pair<std::string, std::string> refused[] = {
      {dtype("f4"), "numpy dtype \"f4\"; images are uint8, flags bool or integer"},
      {dtype("O8"), "numpy dtype \"O8\""},
      {dtype("b2"), "numpy dtype \"b2\""},
      {"cnumpy\ndtype\n)R", "numpy.dtype has no arguments"},
      {"cnumpy\nndarray\n)R", "numpy.ndarray is called"},
      {dtype("i8") + "(K\x03" + str(">") + "NNNtb", "numpy dtype with byte order \">\""},
      {u1 + ")b", "the state of a numpy dtype has 0 parts"},
      {"N)b", "the object that gets a state is None"},
      {array + "Nb", "the state of an object is None"},
      {array + ")b", "the state of a numpy array has 0 parts, not 5"},
      {array + filled(one, "\x88"), "a numpy array that is not in C order"},
      {array + filled(one, "N"), "the order flag of a numpy array is None"},
      {array + filled("K\x02\x85"), "a numpy array of shape [2] and 1 bytes per item holds 1 bytes"},
      {array + filled(one) + filled(one), "a numpy array is filled twice"},
      {array + filled("J\xff\xff\xff\xff\x85"), "a numpy array has an extent of -1"},
      {array + filled(huge + "K\x08\x86"), "of shape [4611686018427387904, 8]"},
      {array + filled("("s + std::string(2 * 33, 'K') + "t"), "a numpy array has 33 dimensions"},
      {array + filled("N"), "the shape of a numpy array is None"},
      {buffer + ")R", "numpy's _frombuffer has 0 arguments, not 4"},
      {buffer + "(" + str("a") + u1 + one + str("F") + "tR", "a numpy array that is not in C order"},
      {scalar + ")R", "a numpy scalar has 0 arguments, not 2"},
      {scalar + dtype("i8") + str("a") + "\x86R", "a numpy scalar of 8 bytes holds 1"},
  };

  for (const auto& [body, expected] : refused) {
    CAPTURE(body);
    CHECK_THAT(message_of(kProtocol2 + body), Contains(expected));
  }
}

TEST_CASE("a well-formed pickle of something else says what it holds", "[verification_set]") {
  const std::string array = "cnumpy.core.multiarray\n_reconstruct\n)R";
  const std::string u2_array = array + "(K\x01K\x01\x85" + "cnumpy\ndtype\nU\x02u2\x85R" + "\x89" + str("ab") + "tb";
  const auto images = [](const std::string& items) { return "]("s + items + "e" + kTwoFlags + "\x86"; };
  const auto flags = [](const std::string& items) { return kFourImages + "](" + items + "e\x86"; };
  const std::pair<std::string, std::string> wrong[] = {
      {"N", "its pickle is None, expected a pair of lists"},
      {kFourImages, "its pickle is a list of 4 items, expected 2"},
      {"N"s + kTwoFlags + "\x86", "its images are None, expected a list"},
      {kFourImages + "N\x86", "its same flags are None, expected a list"},
      {images(bytes("a") + bytes("b") + bytes("c")), "it holds 3 images for 2 same flags, expected 4"},
      {flags("\x88"), "it holds 4 images for 1 same flags, expected 2"},
      {images("NNNN"), "image 0 is None, expected bytes"},
      {images(bytes("a") + bytes("")), "image 1 has no bytes"},
      {images("V\\u4e00\n"), "image 0 is a text, not bytes"},
      {images(u2_array), "image 0 is a numpy array of u2 with shape [1], expected uint8 bytes"},
      {images(array), "image 0 is a numpy array"},
      {flags("K\x02K\x01"), "same flag 0 is 2, expected 0 or 1"},
      {flags("\x88N"), "same flag 1 is None, expected a boolean"},
      {kFourImages + array + "\x86", "its same flags are a numpy array of u1 with shape [], expected one dimension"},
  };

  for (const auto& [body, expected] : wrong) {
    CAPTURE(body);
    CHECK_THAT(message_of(kProtocol2 + body + "."),
               Contains("is not an InsightFace verification file") && Contains(expected));
  }
}

TEST_CASE("a set without pairs or of one kind only is refused", "[verification_set]") {
  const std::string images = kProtocol2 + "](" + bytes("a") + bytes("b") + "e](";

  CHECK_THAT(message_of(kProtocol2 + "]]\x86."), Contains("set.bin holds no pairs"));
  CHECK_THAT(message_of(images + "\x88\x65\x86."), Contains("All 1 pairs") && Contains("are same"));
  CHECK_THAT(message_of(images + "\x89\x65\x86."), Contains("are different"));
}

TEST_CASE("a small file cannot blow up in memory", "[verification_set]") {
  const std::string big(2000, 'x');
  std::string repeated = kProtocol2 + "](T" + little(big.size(), 4) + big + "q\x01";
  for (int i = 0; i < 999; ++i) repeated += "h\x01";
  repeated += "e"s + kTwoFlags + "\x86.";
  std::string decoded = kProtocol2 + "c_codecs\nencode\nq\x01\x30X" + little(big.size(), 4) + big;
  decoded += "Vlatin1\n\x86q\x02\x30(";  // \x30 is POP
  for (int i = 0; i < 100; ++i) decoded += "h\x01h\x02R";

  CHECK_THAT(message_of(repeated), Contains("its images add up to more than 32 times the file"));
  CHECK_THAT(message_of(decoded), Contains("its strings decode to more than 4 times the file"));
}

TEST_CASE("a list that contains itself does no harm", "[verification_set]") {
  CHECK_THAT(message_of(kProtocol2 + "]q\x01h\x01\x61h\x01\x61."), Contains("image 0 is a list, expected bytes"));
}

TEST_CASE("random damage never does more than raise an error", "[verification_set]") {
  const auto files = fixture_files();
  std::vector<std::string> contents;
  for (const auto& file : files) contents.push_back(read_text(file));
  int errors = 0;

  for (std::uint64_t trial = 0; trial < 20000; ++trial) {
    CounterRng rng(11, RandomPurpose::test, trial);
    std::string bytes = contents[trial % contents.size()];
    for (std::uint64_t flips = rng.below(4); flips-- > 0;) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    }
    if (rng.below(4) == 0) bytes.resize(rng.below(bytes.size()));
    try {
      read_bytes(bytes);
    } catch (const Error&) {
      ++errors;
    }
  }

  CHECK(errors > 5000);
  CHECK(errors < 20000);
}

TEST_CASE("images are described for messages", "[verification_set]") {
  VerificationSet set;
  set.path = "data/lfw.bin";

  CHECK(set.describe(4) == "data/lfw.bin, image 4 (pair 2, first)");
  CHECK(set.describe(5) == "data/lfw.bin, image 5 (pair 2, second)");
}

TEST_CASE("real verification files of Python 2 and 3 agree", "[verification_set]") {
  const char* shared = std::getenv("PLSC_SHARED_DATA");
  if (shared == nullptr) {
    WARN("PLSC_SHARED_DATA is not set: real verification files are not read");
    return;
  }
  const std::string root = shared;

  const VerificationSet python2 = read_bin(root + "/formats/lfw_60pairs_py2.bin");
  const VerificationSet python3 = read_bin(root + "/formats/lfw_60pairs_py3p4.bin");
  const VerificationSet lfw = read_bin(root + "/lfw/lfw_val_folds4-5.bin");

  CHECK(python2.same.size() == 60);
  CHECK(python2.images == python3.images);
  CHECK(python2.same == python3.same);
  CHECK(lfw.same.size() == 1200);
  CHECK(std::count(lfw.same.begin(), lfw.same.end(), 1) == 600);
  for (const auto& image : lfw.images) REQUIRE(text_of(image).starts_with("\xff\xd8\xff"));
}

}  // namespace plsc::eval
