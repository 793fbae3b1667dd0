#include "plsc/app/app.h"

int main(int argc, char** argv) { return plsc::app::run(argc, argv); }
