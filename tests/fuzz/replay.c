/* A fuzz target without its fuzzer: runs every file of the directories it is given. What once made
 * a target fail stays in its corpus, and so is tried by every build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES ((size_t)1024 * 1024)

/* Exactly as large as the file, so that a sanitizer sees a read beyond it. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *all = malloc(MAX_BYTES), *bytes = NULL;
    size_t n = file && all ? fread(all, 1, MAX_BYTES, file) : 0;
    int failed = !file || !all || ferror(file);

    if (!failed)
        bytes = malloc(n ? n : 1);
    if (bytes) {
        memcpy(bytes, all, n);
        printf("%s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(bytes, n);
    }
    free(bytes);
    free(all);
    if (file)
        fclose(file);
    return failed;
}

static int replay_directory(const char *path, unsigned *files)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int failed = !directory;

    while (directory && (entry = readdir(directory)) != NULL) {
        char name[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        failed |= replay(name);
        ++*files;
    }
    if (directory)
        closedir(directory);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay_directory(argv[i], &files);
    printf("%u files\n", files);
    return failed || files == 0;
}
