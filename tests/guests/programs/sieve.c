// A loop of as many rounds as asked for: where its instructions run is what the test looks at.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 40;
    const int n = 2000000;
    char *composite = malloc(n + 1);
    int count = 0;
    for (int round = 0; round < rounds; round++) {
        memset(composite, 0, n + 1);
        for (int i = 2; (long)i * i <= n; i++)
            if (!composite[i])
                for (int j = i * i; j <= n; j += i)
                    composite[j] = 1;
        count = 0;
        for (int i = 2; i <= n; i++)
            count += !composite[i];
    }
    printf("%d\n", count);
    return 0;
}
