from nestbox import main

main()
