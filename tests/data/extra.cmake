# Parts of the renderer are tested through their private headers.
target_include_directories(plsc_data_tests PRIVATE ${CMAKE_SOURCE_DIR}/src)
